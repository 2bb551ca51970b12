"""In the main job's second pass one user runs away, is stopped at the limit, and nobody else notices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

pytest.importorskip("langchain_openai")
pytest.importorskip("llama_index.llms.openai_like")

from examples import stdlib_rag
from examples.main_job.arms import run_arm
from examples.main_job.budget import RUNAWAY, add_runaway, limit_for
from examples.main_job.budget_table import agrees, build_budget_table, build_user_lines
from examples.main_job.questions import load_questions
from examples.provider import LoopbackProvider, ReadingEngine
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger
from tokenomics_core.rendering import to_text

SOME = load_questions()[:40]
LIMIT_USD = Decimal("0.0080")


@pytest.fixture(scope="module")
def budgeted():
    settings = stdlib_rag.parse_arguments([])
    budgets = Budgets([Limit("user", usd=LIMIT_USD)])
    asked = add_runaway(SOME, 40)
    with LoopbackProvider(ReadingEngine()) as provider, MemoryLedger() as ledger:
        arm = stdlib_rag.budget_arm(settings, provider.openai_url, budgets)
        result = run_arm(arm, asked, ledger=ledger, run="test")
        return asked, result, budgets, provider.count(), ledger.total(arm="budget")


def test_the_runaway_is_stopped_at_the_limit_and_all_others_are_answered(budgeted):
    _, result, budgets, sent, _ = budgeted
    refused = [outcome for outcome in result.outcomes if outcome.refused]
    assert {outcome.question.user for outcome in refused} == {RUNAWAY}
    assert all(outcome.answer == "" and not outcome.right for outcome in refused)
    assert {outcome.app for outcome in refused} == {app.name for app in result.arm.apps}
    assert sent == len(result.report.calls)
    mine = [record for record in result.report.calls if record.attribution.user == RUNAWAY]
    assert len(mine) == 40 - len(refused)
    assert 0 < budgets.status("user", RUNAWAY).spent_usd <= LIMIT_USD
    assert len(refused) > 10


def test_once_refused_always_refused(budgeted):
    _, result, *_ = budgeted
    mine = [outcome.refused for outcome in result.outcomes if outcome.question.user == RUNAWAY]
    first = mine.index(True)
    assert sum(mine[first:]) >= len(mine[first:]) - 3  # a shorter question may still fit what is left


def test_budget_report_and_ledger_agree_user_by_user(budgeted):
    _, result, budgets, _, ledger_usd = budgeted
    lines = build_user_lines(result, budgets, LIMIT_USD)
    assert all(map(agrees, lines))
    assert sum(line.ledger_usd for line in lines) == result.report.total_usd == ledger_usd
    assert sum(line.asked for line in lines) == 80
    assert not agrees(replace(lines[0], spent_usd=lines[0].spent_usd + Decimal("1e-6")))


def test_the_table_shows_who_was_refused_and_calls_it_no_saving(budgeted):
    _, result, budgets, *_ = budgeted
    lines = build_user_lines(result, budgets, LIMIT_USD)
    text = to_text(build_budget_table(lines, seconds=1.0))
    (row,) = [line for line in text.splitlines() if line.startswith(RUNAWAY)]
    assert row.split()[1:4] == ["40", str(lines[0].answered), str(lines[0].refused)]
    assert "is not a saving" in text
    assert "Nobody spent more than the limit" in text
    over = [replace(lines[0], spent_usd=LIMIT_USD * 2), *lines[1:]]
    text = to_text(build_budget_table(over, seconds=1.0))
    assert f"Above the limit: {RUNAWAY}" in text
    assert "do not agree" in text


def test_the_runaway_is_spread_over_the_stream_and_changes_nothing_of_it():
    for count in (0, 7, 40, 95):
        mixed = add_runaway(SOME, count)
        assert [question for question in mixed if question.user != RUNAWAY] == SOME
        extra = [question for question in mixed if question.user == RUNAWAY]
        assert len(extra) == len({question.id for question in extra}) == count
        assert not {question.id for question in extra} & {question.id for question in SOME}


def test_the_limit_leaves_room_for_the_dearest_user_of_the_plain_pass():
    settings = stdlib_rag.parse_arguments([])
    with LoopbackProvider(ReadingEngine()) as provider, MemoryLedger() as ledger:
        arm = stdlib_rag.plain_arm(settings, provider.openai_url)
        plain = run_arm(arm, SOME[:10], ledger=ledger, run="test")
    dearest = max(plain.report.by("user").values())
    assert dearest * Decimal("1.5") <= limit_for(plain) < dearest * Decimal("1.5") + Decimal("0.0001")
    assert not any(outcome.refused for outcome in plain.outcomes)


def test_the_command_prints_both_tables_and_keeps_both_passes_apart(tmp_path, capsys):
    path = tmp_path / "ledger.db"
    assert stdlib_rag.main(["--limit", "6", "--ledger", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "Cost, plain" in printed
    assert "per user, and one user more" in printed
    with SQLiteLedger(path) as ledger:
        # Of six questions nothing is learned, so nothing is routed.
        assert set(ledger.by("arm")) == {"plain", "cache", "compressed", "weak", "strong", "budget"}
    assert stdlib_rag.main(["--limit", "6", "--runaway", "0"]) == 0
    assert "one user more" not in capsys.readouterr().out
    assert stdlib_rag.main(["--limit", "6", "--user-limit", "0.0007", "--runaway", "12"]) == 0
    assert f"{RUNAWAY} was refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--limit", "0", "must be a whole number of 1 or more, not '0'"),
        ("--limit", "-3", "must be a whole number of 1 or more, not '-3'"),
        ("--limit", "many", "must be a whole number of 1 or more, not 'many'"),
        ("--runaway", "-1", "must be a whole number of 0 or more, not '-1'"),
        ("--user-limit", "0", "must be an amount of USD above 0, not '0'"),
        ("--user-limit", "much", "must be an amount of USD above 0, not 'much'"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_before_anything_is_asked(option, value, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        stdlib_rag.main([f"{option}={value}"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
