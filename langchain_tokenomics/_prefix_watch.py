"""What a provider's cache was worth, what was lost to misses, and why."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from langchain_tokenomics._context_ledger import uncached
from langchain_tokenomics._prefix_layers import Layer
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Usage

__all__ = ["PrefixMiss", "PrefixWatch", "PromptCacheReport", "Sent"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_MOST = 10_000
_READ_ENOUGH = 0.5
"""The share of the expected tokens from which on they count as read: expectations are counts of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixMiss:
    """Calls that could have read a prefix and did not, for one reason.

    Attributes:
        calls: How many.
        tokens: What they would have read.
        lost_usd: What that cost more; None where a price is unknown.
    """

    calls: int = 0
    tokens: int = 0
    lost_usd: Decimal | None = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCacheReport:
    """What caching by providers was worth so far.

    Attributes:
        calls: Calls seen.
        reads: Of them, how many read a prefix.
        unreported: Of them, how many did not tell their usage.
        input_tokens: All their input.
        read_tokens: Of it, what was read from the cache.
        write_tokens: Of it, what was written to it.
        saved_usd: Against never caching; below 0 where writes cost more than reads saved.
        unpriced: Calls whose price is unknown, and which add nothing to `saved_usd`.
        choices: How often each lifetime was asked for the whole conversation, or `none`.
        misses: By reason: `tools changed`, `system changed`, `documents changed`, `history changed`,
            `model changed`, `expired`, `not marked`, `dropped by the provider`.
    """

    calls: int = 0
    reads: int = 0
    unreported: int = 0
    input_tokens: int = 0
    read_tokens: int = 0
    write_tokens: int = 0
    saved_usd: Decimal = Decimal(0)
    unpriced: int = 0
    choices: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, PrefixMiss] = field(default_factory=dict)

    @property
    def hit_rate(self) -> float:
        """Share of the input tokens that were read from the cache, in [0, 1]."""
        return self.read_tokens / self.input_tokens if self.input_tokens else 0.0

    @property
    def lost_usd(self) -> Decimal:
        """What misses cost more than reads would have, as far as known."""
        return sum((miss.lost_usd for miss in self.misses.values() if miss.lost_usd), Decimal(0))

    def __str__(self) -> str:
        lines = [
            f"{self.calls} calls, {self.reads} of them read a cached prefix",
            f"{self.hit_rate:.0%} of {self.input_tokens:,} input tokens read from a cache",
            f"saved ${self.saved_usd:f}, lost ${self.lost_usd:f} to misses",
        ]
        for reason, miss in self.misses.items():
            lost = "at an unknown price" if miss.lost_usd is None else f"${miss.lost_usd:f}"
            lines.append(f"  {reason}: {miss.calls} calls, {miss.tokens:,} tokens, {lost}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way.

    Attributes:
        model: Who is asked.
        provider: Who serves it.
        conversation: What it belongs to.
        layers: Its parts.
        ttls_s: By name of a layer that the provider was asked to cache, how long it lives.
        at_s: When it was sent.
        choice: The lifetime asked for the whole conversation, or `none`.
        expected_tokens: What the provider should read of it.
        reason: Why it should read no more; empty where it should read all that it ever could.
        missed_tokens: What it could have read otherwise.
    """

    model: str
    provider: str | None
    conversation: str
    layers: tuple[Layer, ...]
    ttls_s: Mapping[str, float]
    at_s: float
    choice: str
    expected_tokens: int = 0
    reason: str = ""
    missed_tokens: int = 0


class PrefixWatch:
    """Keeps count; any number of threads may tell it of calls.

    Args:
        prices: What calls cost.
    """

    def __init__(self, prices: Pricer) -> None:
        self._prices = prices
        self._alive: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._last: OrderedDict[str, Sent] = OrderedDict()
        self._totals = Counter[str]()
        self._choices = Counter[str]()
        self._saved = Decimal(0)
        self._misses: dict[str, PrefixMiss] = {}
        self._lock = threading.Lock()

    def send(
        self,
        model: str,
        provider: str | None,
        conversation: str,
        layers: Sequence[Layer],
        ttls_s: Mapping[str, float],
        at_s: float,
        choice: str,
        *,
        exact: bool,
    ) -> Sent:
        """Describe a request, and work out what the provider should read of it.

        Where `exact`, the provider finds an entry only where it stands marked again; the rest is in `Sent`.
        """
        end = max((layer.tokens for layer in layers if layer.name in ttls_s), default=-1)
        within = [one for one in layers if one.name in ttls_s or (one.tokens <= end and not exact)]
        with self._lock:
            alive = [layer for layer in within if self._alive.get((model, layer.digest), -1.0) >= at_s]
            expected = max((layer.tokens for layer in alive), default=0)
            before = self._last.get(conversation)
            reason, missed = "", 0
            if before is not None and before.ttls_s:
                could = max(layer.tokens for layer in before.layers if layer.name in before.ttls_s)
                if could > expected:
                    reason, missed = _why(before, model, layers, at_s), could - expected
        return Sent(
            model, provider, conversation, tuple(layers), dict(ttls_s), at_s, choice, expected, reason, missed
        )

    def receive(self, sent: Sent, usage: Usage | None) -> None:
        """Note what a call consumed; of one that failed nobody knows what it left behind."""
        with self._lock:
            self._remember(sent)
            self._totals["calls"] += 1
            self._choices[sent.choice] += 1
            if usage is None or usage.input_tokens is None:
                self._totals["unreported"] += 1
                return
            read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
            self._totals["reads"] += read > 0
            self._totals["input"] += usage.input_tokens
            self._totals["read"] += read
            self._totals["write"] += written
            actual, plain = self._cost(sent, usage), self._cost(sent, uncached(usage))
            if actual is None or plain is None:
                self._totals["unpriced"] += 1
            else:
                self._saved += plain - actual
            if read < _READ_ENOUGH * sent.expected_tokens:
                self._miss(sent, "dropped by the provider", sent.expected_tokens - read, written)
            if sent.reason and read < sent.expected_tokens + sent.missed_tokens:
                lost = min(sent.missed_tokens, usage.input_tokens - read)
                self._miss(sent, sent.reason, lost, written)

    def report(self) -> PromptCacheReport:
        """Return the counts so far."""
        with self._lock:
            totals = self._totals
            return PromptCacheReport(
                calls=totals["calls"],
                reads=totals["reads"],
                unreported=totals["unreported"],
                input_tokens=totals["input"],
                read_tokens=totals["read"],
                write_tokens=totals["write"],
                saved_usd=self._saved,
                unpriced=totals["unpriced"],
                choices=dict(self._choices),
                misses=dict(self._misses),
            )

    def _remember(self, sent: Sent) -> None:
        for layer in sent.layers:
            if (ttl_s := sent.ttls_s.get(layer.name)) is not None:
                key = sent.model, layer.digest
                self._put(self._alive, key, max(sent.at_s + ttl_s, self._alive.get(key, 0.0)))
        self._put(self._last, sent.conversation, sent)

    def _miss(self, sent: Sent, reason: str, tokens: int, written: int) -> None:
        if tokens <= 0:
            return
        again = Usage(input_tokens=tokens, output_tokens=0, cache_write_tokens=min(tokens, written) or None)
        read = Usage(input_tokens=tokens, output_tokens=0, cache_read_tokens=tokens)
        dear, cheap = self._cost(sent, again), self._cost(sent, read)
        lost = None if dear is None or cheap is None else dear - cheap
        known = self._misses.get(reason, PrefixMiss())
        self._misses[reason] = PrefixMiss(
            calls=known.calls + 1,
            tokens=known.tokens + tokens,
            lost_usd=None if lost is None or known.lost_usd is None else known.lost_usd + lost,
        )

    def _cost(self, sent: Sent, usage: Usage) -> Decimal | None:
        return self._prices.cost(usage, sent.model, sent.provider, None).total_usd

    @staticmethod
    def _put(entries: OrderedDict[_K, _V], key: _K, value: _V) -> None:
        entries[key] = value
        entries.move_to_end(key)
        while len(entries) > _MOST:
            entries.popitem(last=False)


def _why(before: Sent, model: str, layers: Sequence[Layer], at_s: float) -> str:
    """Say why a conversation's prefix cannot be read."""
    if before.model != model:
        return "model changed"
    now: dict[str, str] = {layer.name: layer.digest for layer in layers}
    then: dict[str, str] = {layer.name: layer.digest for layer in before.layers}
    for name in ("tools", "system", "documents"):
        if then.get(name) != now.get(name):
            return f"{name} changed"
    if then.get("history") not in (now.get("earlier"), now.get("history")):
        return "history changed"
    longest = max(before.ttls_s.values())
    return "expired" if at_s - before.at_s > longest else "not marked"
