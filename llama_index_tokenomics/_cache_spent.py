"""See what the calls inside a block consume, without changing what anybody else sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from llama_index_tokenomics._calls import Sink
from llama_index_tokenomics._meter import sink_of
from llama_index_tokenomics.tracking import track_cost
from tokenomics_core.observability import CostReport, current_scope
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Cost, Usage

__all__ = ["Spent"]

_ADDED = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class Spent:
    """What the calls inside some blocks consumed; a stream counts when it was read to its end."""

    def __init__(self) -> None:
        self._reports: list[CostReport] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the calls of a block; the blocks around it see them as if it were not there."""
        outer = current_scope()
        sink: Sink | None = None if outer is None else outer.listener("llama_index", sink_of)
        with track_cost(
            prices=_Passed(None if outer is None else outer.prices),
            keep_content=outer is not None and outer.keep_content,
            # A request is changed only where somebody outside asked for that.
            stream_usage=sink is not None and sink.stream_usage,
        ) as report:
            self._reports.append(report)
            yield

    @property
    def total(self) -> tuple[str | None, Usage | None, str | None]:
        """The model, what it consumed in all, and its provider; None where several were asked."""
        paid = [record for report in self._reports for record in report.calls if record.source != "cache"]
        asked = {(record.model, record.provider) for record in paid}
        if len(asked) != 1:
            return None, None, None
        model, provider = asked.pop()
        return model, _sum([record.usage for record in paid]), provider


class _Passed:
    """Prices of the block around this one; never strict: nothing may be raised after it was paid for."""

    def __init__(self, prices: Pricer | None) -> None:
        self._prices = prices

    def cost(self, usage: Usage, model: str, provider: str | None = None, at: datetime | None = None) -> Cost:
        if self._prices is None:
            return Cost(total_usd=None, source="nobody asked")
        return self._prices.cost(usage, model, provider, at)


def _sum(usages: Sequence[Usage]) -> Usage:
    """Add counts up; one that no call reported stays unknown."""
    if len(usages) == 1:
        return usages[0]

    def total(name: str) -> int | None:
        known = [value for usage in usages if (value := getattr(usage, name)) is not None]
        return sum(known) if known else None

    return Usage(
        **{name: total(name) for name in _ADDED},  # type: ignore[arg-type]  # counts by their names
        estimated=any(usage.estimated for usage in usages),
    )
