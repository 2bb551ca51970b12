"""What a call would cost, before it is made."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError, TokenomicsError
from tokenomics_core.observability._price_data import PriceData
from tokenomics_core.protocols import Pricer
from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    to_html,
    to_rich,
    to_text,
)
from tokenomics_core.types import SpendRecord, Usage

__all__ = ["Estimate", "estimate_call"]

_UNKNOWN_OUTPUT = "unknown: pass max_output_tokens, or ask again after a call of this model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost of a call that has not been made; what cannot be known is None.

    Attributes:
        model: The model that was asked about.
        input_tokens: Tokens of the messages.
        estimated: Whether that count is an estimate because the model's own vocabulary is not at hand.
        output_tokens: The length assumed for the answer.
        output_basis: Why that length.
        cost_usd: The cost with that length; None where it, or the price, is unknown.
        input_usd: The part for the input.
        low_usd: The cost with the shortest answer to expect; the input alone where no answer is known.
        high_usd: The cost with the longest.
        low_output_tokens: The length behind `low_usd`.
        high_output_tokens: The length behind `high_usd`.
        price_source: Where the price came from, in words.
        data_date: The date of the price data, where it has one.
        notes: What a reader should know of the price.
    """

    model: str
    input_tokens: int
    estimated: bool
    output_tokens: int | None
    output_basis: str
    cost_usd: Decimal | None
    input_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    low_output_tokens: int
    high_output_tokens: int | None
    price_source: str
    data_date: date | None = None
    notes: tuple[str, ...] = ()

    def to_table(self) -> Table:
        """Return the estimate as a table of the least, the expected and the most."""
        rows = [self._row("at least", self.low_output_tokens, self.low_usd)]
        if self.output_tokens is not None:
            rows.append(self._row("expected", self.output_tokens, self.cost_usd, strong=True))
        if self.high_output_tokens is not None:
            rows.append(self._row("at most", self.high_output_tokens, self.high_usd))
        shown = self.cost_usd if self.output_tokens is not None else self.low_usd
        label = "Expected cost" if self.output_tokens is not None else "Cost of the input"
        notices = [Notice(f"Length of the answer: {self.output_basis}.")]
        notices += [Notice(note) for note in self.notes]
        data = f", data of {self.data_date}" if self.data_date is not None else ""
        return Table(
            title=f"Estimate for {self.model}",
            figures=(Figure(label, self._money(shown), "money"),),
            columns=(
                Column(title=""),
                Column(title="Tokens in", kind="count"),
                Column(title="out", kind="count"),
                Column(title="Cost", kind="money", strong=True),
            ),
            groups=(Group("", tuple(rows)),),
            notices=(*notices, Notice(f"Prices: {self.price_source}{data}")),
        )

    def _row(self, name: str, output_tokens: int, cost_usd: Decimal | None, *, strong: bool = False) -> Row:
        return Row(
            (
                Cell(name, level="normal" if strong else "muted"),
                Cell(self.input_tokens, estimated=self.estimated),
                Cell(output_tokens),
                self._money(cost_usd),
            )
        )

    def _money(self, amount_usd: Decimal | None) -> Cell:
        if amount_usd is None:
            return Cell(None, level="error")
        return Cell(amount_usd, estimated=amount_usd > 0)

    def _repr_html_(self) -> str:
        return to_html(self.to_table())

    def __rich__(self) -> Any:
        return to_rich(self.to_table())

    def __str__(self) -> str:
        return to_text(self.to_table())


@dataclass(frozen=True, slots=True)
class _Lengths:
    """How long an answer may be, in tokens."""

    expected: int | None
    low: int
    high: int | None
    basis: str


def estimate_call(
    messages: Any,
    model: str,
    *,
    records: Sequence[SpendRecord],
    prices: Pricer,
    max_output_tokens: int | None = None,
    provider: str | None = None,
) -> Estimate:
    """Price messages with the answer's length taken from earlier calls of the model, or from its cap.

    Raises:
        ConfigurationError: `max_output_tokens` is not a whole number of 0 or more; nothing was counted.
    """
    from tokenomics_core.tokens import count_tokens  # noqa: PLC0415 - the counter is slow to load and rarely needed

    if max_output_tokens is not None and (type(max_output_tokens) is not int or max_output_tokens < 0):
        raise ConfigurationError(
            f"max_output_tokens must be a whole number of 0 or more, not {max_output_tokens!r}; "
            "nothing was counted"
        )
    counted = count_tokens(messages, model, provider=provider)
    lengths = _lengths(_history(records, model, provider, prices), max_output_tokens)

    def price(output_tokens: int | None) -> Decimal | None:
        if output_tokens is None:
            return None
        usage = Usage(input_tokens=int(counted), output_tokens=output_tokens, estimated=True)
        return prices.cost(usage, model, provider).total_usd

    alone = prices.cost(Usage(input_tokens=int(counted), output_tokens=0, estimated=True), model, provider)
    return Estimate(
        model=model,
        input_tokens=int(counted),
        estimated=counted.estimated,
        output_tokens=lengths.expected,
        output_basis=lengths.basis,
        cost_usd=price(lengths.expected),
        input_usd=alone.total_usd,
        low_usd=price(lengths.low),
        high_usd=price(lengths.high),
        low_output_tokens=lengths.low,
        high_output_tokens=lengths.high,
        price_source=alone.source,
        data_date=PriceData.of(prices).date,
        notes=alone.notes,
    )


def _lengths(history: Sequence[int], cap: int | None) -> _Lengths:
    if history:
        median = statistics.median_low(sorted(history))
        of_calls = f"{len(history):,} earlier call{'' if len(history) == 1 else 's'} of this model"
        high = max(history) if cap is None else cap
        if cap is not None and median > cap:
            return _Lengths(
                cap, min(*history, cap), cap, f"max_output_tokens, below the median of {of_calls}"
            )
        return _Lengths(median, min(*history, high), high, f"the median of {of_calls}")
    if cap is not None:
        return _Lengths(cap, 0, cap, "max_output_tokens, as no earlier call of this model is known")
    return _Lengths(None, 0, None, _UNKNOWN_OUTPUT)


def _history(records: Sequence[SpendRecord], model: str, provider: str | None, prices: Pricer) -> list[int]:
    """Return the answers' lengths of earlier calls that were paid for and came to their end."""
    paid = [
        record
        for record in records
        if record.outcome == "ok" and record.source != "cache" and record.usage.output_tokens is not None
    ]
    wanted = _priced_as(model, provider, prices)
    names = {(record.model, record.provider) for record in paid}
    same = {
        name
        for name in names
        if name[0] == model or (wanted is not None and _priced_as(*name, prices) == wanted)
    }
    return [record.usage.output_tokens or 0 for record in paid if (record.model, record.provider) in same]


def _priced_as(model: str, provider: str | None, prices: Pricer) -> str | None:
    """Return the name that the price data has for a model, as dated and prefixed spellings share one."""
    with suppress(TokenomicsError):
        return prices.cost(Usage(input_tokens=0, output_tokens=0), model, provider).model
    return None
