"""The main job asks nothing but the question, books every call once, and its table adds up."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("llama_index.llms.openai_like")

from examples import stdlib_rag
from examples.judge import is_right
from examples.main_job.arms import Arm, ArmResult, run_arm
from examples.main_job.questions import load_questions
from examples.main_job.table import build_lines, build_table
from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ReadingEngine, ScriptedEngine
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.rendering import to_text
from tokenomics_core.types import Totals

QUESTIONS = load_questions()
# Both features of conversations, variants of both kinds, hard questions.
SOME = [
    question
    for at, question in enumerate(QUESTIONS)
    if at < 40 or question.conversation in {"c01", "c02", "c03"}
]


@pytest.fixture(scope="module")
def seen_and_result():
    settings = stdlib_rag.parse_arguments([])
    with LoopbackProvider(ReadingEngine()) as provider, MemoryLedger() as ledger:
        arm = stdlib_rag.plain_arm(settings, provider.openai_url)
        result = run_arm(arm, SOME, ledger=ledger, run="test")
        return provider.requests, result, ledger.totals(run="test")


@pytest.fixture
def result(seen_and_result) -> ArmResult:
    return seen_and_result[1]


def test_the_provider_never_sees_a_label_of_a_question(seen_and_result):
    requests, _, _ = seen_and_result
    sent = [json.dumps(seen.body) for seen in requests]
    labels = {question.id for question in SOME} | {"near_miss", "follow_up", "paraphrase", "facts", "chen"}
    assert not [label for label in labels for body in sent if f'"{label}"' in body]
    assert {key for seen in requests for key in seen.body} <= {
        "model", "messages", "stream", "stream_options", "temperature"
    }  # fmt: skip


def test_every_call_is_booked_once_and_under_its_question(seen_and_result):
    requests, result, totals = seen_and_result
    records = result.report.calls
    assert len(records) == len(requests) == totals.calls
    assert totals == Totals.of(records)
    by_id = {question.id: question for question in SOME}
    for record in records:
        question = by_id[record.attribution.tags["question"]]
        assert record.attribution.user == question.user
        assert record.attribution.feature == question.feature
        assert record.attribution.conversation == question.conversation
        assert record.attribution.run == "test"
        assert record.model == {"search": "gpt-4.1-nano"}.get(question.feature, "gpt-4.1-mini")
        assert not record.estimated
        assert record.cost_usd is not None


def test_both_frameworks_answer_and_prompt_caching_shows(result):
    assert {outcome.app for outcome in result.outcomes} == {"langchain", "llama-index"}
    cached = {
        framework: totals.cache_read_tokens
        for framework, totals in result.report.totals_by("framework").items()
    }
    assert cached["langchain"] > 0
    assert cached["llama-index"] == 0


def test_answers_are_judged_by_their_facts(result):
    assert [outcome.question for outcome in result.outcomes] == SOME
    for outcome in result.outcomes:
        assert outcome.right is is_right(outcome.answer, outcome.question.facts)
    right = [outcome for outcome in result.outcomes if outcome.right]
    assert 0.6 < len(right) / len(SOME) < 1
    follow_ups = [outcome for outcome in result.outcomes if outcome.question.kind == "follow_up"]
    assert sum(outcome.right for outcome in follow_ups) > len(follow_ups) / 2


def test_every_section_of_the_table_sums_to_the_whole(result):
    *lines, whole = build_lines(result)
    sections = {line.section for line in lines}
    assert len(sections) == 5
    for section in sections:
        inside = [line for line in lines if line.section == section]
        assert sum((line.totals for line in inside), Totals()) == whole.totals
        assert sum(line.questions for line in inside) == whole.questions == len(SOME)
        assert sum(line.right for line in inside) == whole.right
    assert whole.totals.cost_usd == result.report.total_usd


def test_the_table_says_what_it_is(result):
    cost = result.report.total_usd
    text = to_text(build_table(result, stand_in=True, ledger_usd=cost, seconds=1.0))
    assert "stand-in" in text
    assert "The ledger says the same" in text
    other = to_text(build_table(result, stand_in=False, ledger_usd=cost + 1, seconds=1.0))
    assert "stand-in" not in other
    assert "The ledger says the same" not in other


def test_unpriced_calls_are_no_free_calls():
    answer = ProviderAnswer(text="x", usage=ProviderUsage(input_tokens=5, output_tokens=1), model="who-knows")
    settings = stdlib_rag.parse_arguments(["--model", "who-knows", "--strong-model", "who-knows"])
    with LoopbackProvider(ScriptedEngine(always=answer)) as provider, MemoryLedger() as ledger:
        arm = stdlib_rag.plain_arm(settings, provider.openai_url)
        result = run_arm(arm, QUESTIONS[:4], ledger=ledger, run="test")
    assert build_lines(result)[-1].totals.unpriced_calls == 4
    text = to_text(build_table(result, stand_in=False, ledger_usd=Decimal(0), seconds=1.0))
    assert "4 calls have no known price" in text
    total = next(line for line in text.splitlines() if line.startswith("Total"))
    assert "unpriced" in total


def test_a_ledger_that_lost_a_nano_dollar_is_noticed(result):
    cost = result.report.total_usd
    assert stdlib_rag.adds_up(result, cost)
    assert not stdlib_rag.adds_up(result, cost - Decimal("1e-9"))


def test_an_app_that_answers_nothing_gets_nothing_right():
    class Silent:
        name = "silent"

        def ask(self, question, history):
            return ""

    models = dict.fromkeys(["search", "tutor", "review"], "none")
    with MemoryLedger() as ledger:
        arm = Arm(name="plain", apps=(Silent(),), models=models)
        result = run_arm(arm, SOME, ledger=ledger, run="test")
    whole = build_lines(result)[-1]
    assert (whole.right, whole.totals.calls, whole.totals.cost_usd) == (0, 0, 0)
    assert "$0" in to_text(build_table(result, stand_in=False, ledger_usd=Decimal(0), seconds=1.0))


def test_history_reaches_follow_ups_of_the_same_conversation_only():
    seen = []

    class Listener:
        name = "listener"

        def ask(self, question, history):
            seen.append((question, history))
            return f"answer to {question.id}"

    models = dict.fromkeys(["search", "tutor", "review"], "none")
    with MemoryLedger() as ledger:
        run_arm(Arm(name="plain", apps=(Listener(),), models=models), QUESTIONS, ledger=ledger, run="test")
    said: dict[str, list[tuple[str, str]]] = {}
    for question, history in seen:
        before = said.setdefault(question.conversation, []) if question.conversation else []
        assert list(history) == before
        before.append((question.text, f"answer to {question.id}"))


# --- the command


def test_the_command_runs_prints_and_keeps_its_ledger(tmp_path, capsys):
    path = tmp_path / "ledger.db"
    for _ in range(2):
        assert stdlib_rag.main(["--limit", "6", "--ledger", str(path)]) == 0
    printed = capsys.readouterr()
    assert "Total" in printed.out
    assert "6 of 6 questions" in printed.err
    with SQLiteLedger(path) as ledger:
        assert ledger.totals().calls >= 12
        assert len(ledger.by("run")) == 2


def test_the_command_takes_another_provider_and_other_questions(tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    first = next(question for question in QUESTIONS if question.kind == "easy")
    path.write_text(json.dumps({name: getattr(first, name) for name in first.__slots__}) + "\n")
    answer = ProviderAnswer(text=first.facts[0][0], usage=ProviderUsage(input_tokens=1000, output_tokens=10))
    with LoopbackProvider(ScriptedEngine(always=answer)) as provider:
        code = stdlib_rag.main(
            ["--base-url", provider.openai_url, "--model", "gpt-4.1", "--questions", str(path)]
        )
        # The question and its repetition plainly, once in front of an empty cache, twice with less context.
        assert provider.count(model="gpt-4.1") == provider.count() == 5
    assert code == 0
    printed = capsys.readouterr().out
    assert "stand-in" not in printed
    assert "100%" in printed
    assert "0.00416" in printed  # twice 1000 x 2 + 10 x 8 USD per million, by hand
    assert "0.00208" in printed  # and once of that with the cache


def test_another_provider_needs_a_model(capsys):
    with pytest.raises(SystemExit):
        stdlib_rag.parse_arguments(["--base-url", "http://127.0.0.1:1"])
    assert "--base-url needs --model" in capsys.readouterr().err
