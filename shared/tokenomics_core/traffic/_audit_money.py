"""What the calls of an audit cost, in whole pico-dollars, and what their tokens are charged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._facts import to_pico
from tokenomics_core.types import Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.pricing import Price, PriceBook
    from tokenomics_core.traffic._audit_frame import AuditFrame

    Ints = NDArray[np.int64]

__all__ = ["Money", "from_pico", "sum_by"]

_COUNTS: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
_AT_ONCE: Final = 50_000
_MOST_USD: Final = 1_000_000
"""A call that cost more is a slip in the log."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SPLIT: Final = 1_000_000
_EXACT: Final = Context(prec=60)


class Rates(NamedTuple):
    """What a token is charged, in pico-dollars; None where it is not known."""

    input: float | None
    cache_read: float | None
    cache_write: float | None


class Money:
    """Prices every call once: by the price book, or else by what the log says itself.

    Attributes:
        cost: Pico-dollars by row; -1 where nobody knows. Answers from a cache cost 0.
        output_cost: The part for output; -1 where it is not known.
        listed: Whether the price book knows what the call cost.
    """

    def __init__(self, frame: AuditFrame, prices: PriceBook) -> None:
        self._frame, self._prices = frame, prices
        self._models = frame.column("model")
        self._usages = frame.column("usage")
        self._counts = {name: frame.column(name) for name in _COUNTS}
        self._price_of: dict[tuple[int, int, int], Price | None] = {}
        self.input, self.output = self._counts["input"], self._counts["output"]
        self.listed = np.zeros(frame.rows, np.bool_)
        self.cost, self.output_cost = self._priced()

    @property
    def models(self) -> NDArray[np.int32]:
        """Each row's model, as a place in the frame's names."""
        return self._models

    @property
    def uncached_input(self) -> Ints:
        """Input tokens that were charged in full or written to a cache; 0 where unknown."""
        read = np.maximum(self._counts["cache_read"], 0)
        rest: Ints = np.maximum(self.input.astype(np.int64) - read, 0)
        return rest

    @property
    def cache_read(self) -> NDArray[np.int32]:
        """Input tokens that were read from a provider's cache; -1 where unknown."""
        return self._counts["cache_read"]

    def cost_as(self, rows: Ints, *, model: int | None = None, batch: bool = False) -> Ints:
        """Return what some calls would cost on another model, or as a batch; -1 where nobody knows."""
        found = np.full(len(rows), -1, np.int64)
        for place, (row, usage) in enumerate(zip(rows.tolist(), self._usages_of(rows), strict=True)):
            if usage is None:
                continue
            name, provider = self._frame.model_of(int(self._models[row]) if model is None else model)
            asked = replace(usage, batch=True) if batch else usage
            cost = self._ask(asked, name, provider, self._frame.at(row))[0]
            found[place] = -1 if cost is None or cost > _MOST_USD else to_pico(cost)
        return found

    def rates(self, row: int) -> Rates:
        """Return what a token of a call's input was charged, read from a cache and written to it."""
        price, tokens = self._price(row), max(int(self.input[row]), 0)
        if price is None:
            return Rates(None, None, None)
        return Rates(
            *(
                None if usd is None else float(usd) * 1e6
                for usd in (
                    price.usd_per_mtok(kind, input_tokens=tokens)
                    for kind in ("input", "cache_read", "cache_write")
                )
            )
        )

    def price_of_model(self, code: int, at: datetime) -> Price | None:
        """Return the list price of a model."""
        name, provider = self._frame.model_of(code)
        return self._prices.price(name, provider, at)

    def provider_of_model(self, code: int) -> str | None:
        """Return whose price a model's is."""
        name, provider = self._frame.model_of(code)
        found = self._prices.resolve(name, provider)
        return None if found is None else found.provider

    def _price(self, row: int) -> Price | None:
        model, beside = int(self._models[row]), int(self._usages[row])
        hour = int(self._frame.at_us[row]) // 3_600_000_000
        key = (model, beside, hour)
        if key not in self._price_of:
            usage = self._usage(row) or Usage()
            name, provider = self._frame.model_of(model)
            self._price_of[key] = self._prices.price(
                name,
                provider,
                self._frame.at(row),
                service_tier=usage.service_tier,
                batch=usage.batch,
                context=usage.context,
            )
        return self._price_of[key]

    def _priced(self) -> tuple[Ints, Ints]:
        cost, output_cost = np.full((2, self._frame.rows), -1, np.int64)
        own = self._frame.column("own_pico")
        paid = self._frame.has("paid")
        cost[~paid] = output_cost[~paid] = 0
        unknown: list[int] = []
        names = [self._frame.model_of(code) for code in range(len(self._frame.names["models"]))]
        every = np.flatnonzero(paid)
        for start in range(0, len(every), _AT_ONCE):
            rows = every[start : start + _AT_ONCE]
            for row, model, at_us, usage in zip(
                rows.tolist(),
                self._models[rows].tolist(),
                self._frame.at_us[rows].tolist(),
                self._usages_of(rows),
                strict=True,
            ):
                at = _EPOCH + timedelta(microseconds=at_us)
                name, provider = names[model]
                total, output = (None, None) if usage is None else self._ask(usage, name, provider, at)
                if total is None or total > _MOST_USD:
                    unknown.append(row)
                    continue
                cost[row] = to_pico(total)
                output_cost[row] = -1 if output is None else to_pico(output)
        self.listed[paid] = True
        self.listed[unknown] = False
        cost[unknown] = own[unknown]
        return cost, output_cost

    def _ask(
        self, usage: Usage, name: str, provider: str | None, at: datetime
    ) -> tuple[Decimal | None, Decimal | None]:
        try:
            cost = self._prices.cost(usage, name, provider, at)
        except ConfigurationError:  # the log's counts contradict each other: nobody knows what it cost
            return None, None
        return cost.total_usd, cost.output_usd

    def _usage(self, row: int) -> Usage | None:
        """Rebuild what a call consumed; None where its counts cannot be true."""
        return next(self._usages_of(np.array([row])))

    def _usages_of(self, rows: Ints) -> Iterator[Usage | None]:
        """Rebuild what calls consumed, one after the other."""
        columns = [self._counts[name][rows].tolist() for name in _COUNTS]
        for beside, *counts in zip(self._usages[rows].tolist(), *columns, strict=True):
            if beside >= 0:
                yield self._usage_beside(beside)
                continue
            known = [None if count < 0 else count for count in counts]
            try:
                yield Usage(
                    input_tokens=known[0],
                    output_tokens=known[1],
                    cache_read_tokens=known[2],
                    cache_write_tokens=known[3],
                    cache_write_1h_tokens=known[4],
                    reasoning_tokens=known[5],
                )
            except ConfigurationError:
                yield None

    def _usage_beside(self, place: int) -> Usage | None:
        try:
            return Usage.from_dict(json.loads(self._frame.names["usages"][place]))
        except ConfigurationError:
            return None


def from_pico(pico: int) -> Decimal:
    """Return an amount in USD, exact."""
    return _EXACT.scaleb(Decimal(pico), -12)


def sum_by(places: NDArray[Any], values: Ints, groups: int) -> list[int]:
    """Sum amounts by group, exactly, however large the sums become."""
    high, low = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    np.add.at(high, places, values // _SPLIT)
    np.add.at(low, places, values % _SPLIT)
    return [one * _SPLIT + other for one, other in zip(high.tolist(), low.tolist(), strict=True)]
