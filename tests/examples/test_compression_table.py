"""The table of the pass with compressed context counts what was lost, gained and credited."""

from decimal import Decimal
from types import SimpleNamespace

from examples.main_job.arms import Outcome
from examples.main_job.compression_table import build_compression_lines, build_compression_table
from examples.main_job.questions import DEFAULT_PATH, load_questions
from tests.core.observability.records import spend
from tokenomics_core.rendering import to_text

QUESTIONS = load_questions(DEFAULT_PATH)[:4]


def _result(rights, tokens, avoided):
    outcomes = [
        Outcome(question=question, app="langchain", model="m", answer=f"{right}", right=right)
        for question, right in zip(QUESTIONS, rights, strict=True)
    ]
    calls = [
        spend(
            cost=str(Decimal(tokens) / 1000),
            tokens=(tokens, 5),
            avoided_usd=avoided,
            avoided_by="compress" if avoided else None,
            tags={"framework": "langchain"},
        )
        for _ in QUESTIONS
    ]
    return SimpleNamespace(outcomes=outcomes, report=SimpleNamespace(calls=calls))


def test_what_was_lost_gained_and_credited_is_counted():
    lines = build_compression_lines(
        _result([True, True, False, False], 100, None),
        _result([True, False, True, False], 60, Decimal("0.04")),
    )
    assert [line.name for line in lines] == ["langchain", "Total"]
    whole = lines[-1]
    assert (whole.right_plain, whole.right, whole.lost, whole.gained, whole.same) == (2, 2, 1, 1, 2)
    assert (whole.plain.input_tokens, whole.totals.input_tokens) == (400, 240)
    assert whole.credited == Decimal("0.16")
    text = to_text(build_compression_table(lines, seconds=1, share=0.6, ledger_usd=Decimal("0.24")))
    assert "60% of what was retrieved" in text
    assert "The ledger says the same" in text
    wrong = to_text(build_compression_table(lines, seconds=1, share=0.6, ledger_usd=Decimal("0.25")))
    assert "The ledger says 0.25 USD" in wrong
