"""Draw what a policy would have reached."""

from __future__ import annotations

from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    format_count,
    format_usd,
)
from tokenomics_core.routing._bootstrap import Estimate
from tokenomics_core.routing._offpolicy import PolicyValue, Valuations

__all__ = ["policy_value_table"]


def policy_value_table(value: PolicyValue) -> Table:
    """Return a table of the three estimates beside what the policy that ran reached."""
    money = value.usd_per_1000
    return Table(
        title="Policy valued from a log",
        subtitle=f"{format_count(value.decisions)} decisions, as good as {value.effective_decisions:,.0f}",
        figures=(Figure("quality, doubly robust", Cell(str(value.quality.doubly_robust))),),
        columns=(
            Column(title="", strong=True),
            Column(title="quality"),
            *(() if money is None else (Column(title="per 1,000 calls"),)),
        ),
        groups=(Group("", tuple(_rows(value.quality, money))),),
        notices=(
            *(Notice(text, "warning") for text in value.cautions),
            Notice(f"The mean weight is {value.agreement}; 1 where the log covers the new policy."),
        ),
    )


def _rows(quality: Valuations, money: Valuations | None) -> list[Row]:
    names = {
        "doubly_robust": "doubly robust",
        "self_normalised": "self-normalised",
        "inverse_propensity": "inverse propensity",
        "logged": "the policy that ran",
        "gain": "new minus old",
    }
    return [
        Row(
            (
                Cell(words),
                Cell(str(getattr(quality, name))),
                *(() if money is None else (Cell(_usd(getattr(money, name))),)),
            )
        )
        for name, words in names.items()
    ]


def _usd(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return format_usd(estimate.value)
    return f"{format_usd(estimate.value)} [{format_usd(estimate.low)}, {format_usd(estimate.high)}]"
