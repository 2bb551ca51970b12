"""The table of the pass with compressed context counts what was lost, gained and credited."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from examples.main_job.arms import Outcome
from examples.main_job.compression_table import build_compression_lines, build_compression_table
from examples.main_job.questions import DEFAULT_PATH, load_questions
from tests.core.observability.records import spend
from tokenomics_core.compression.stats import CompressionStats
from tokenomics_core.rendering import to_text
from tokenomics_core.types import Totals

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
    stats = CompressionStats(runs=4, tokens_before=800, tokens_after=8 * tokens)
    app = SimpleNamespace(name="langchain", compressed=lambda: stats)
    return SimpleNamespace(
        outcomes=outcomes, report=SimpleNamespace(calls=calls), arm=SimpleNamespace(apps=(app,))
    )


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
    assert (whole.context.tokens_before, whole.context.tokens_after) == (800, 480)


@pytest.mark.parametrize(
    ("spent", "avoided", "says"),
    [
        ("0.24", "0.16", "The ledger says the same: 0.24 USD spent, 0.16 USD avoided"),
        (
            "0.25",
            "0.16",
            "The ledger says 0.25 USD spent and 0.16 USD avoided, the report 0.24 USD and 0.16 USD",
        ),
        (
            "0.24",
            "0.15",
            "The ledger says 0.24 USD spent and 0.15 USD avoided, the report 0.24 USD and 0.16 USD",
        ),
    ],
)
def test_what_the_report_says_is_held_against_the_ledger(spent, avoided, says):
    lines = build_compression_lines(_result([True] * 4, 100, None), _result([True] * 4, 60, Decimal("0.04")))
    ledger = Totals(cost_usd=Decimal(spent), avoided_usd=Decimal(avoided))
    text = to_text(build_compression_table(lines, seconds=1, share=0.6, ledger=ledger), width=250)
    assert says in " ".join(text.split())
    assert "60% of what was retrieved" in text
    row = next(line for line in text.splitlines() if line.startswith("langchain"))
    assert "800" in row.split()
    assert "480" in row.split()
