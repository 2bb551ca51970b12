"""Learn, prefix by prefix, which caching pays, while the traffic runs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.prompts._cache_rules import CacheRule
from tokenomics_core.prompts._prefix_plan import NO_CACHING

__all__ = ["PrefixPlanner", "PrefixStats"]

_FIRST, _LATER = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixStats:
    """What caching was worth so far.

    Attributes:
        uses: Requests seen.
        reads: Of them, how many read a cached prefix.
        writes: How many wrote one.
        lost_writes: Writes that no request read, in the price of an uncached token each.
        saved: Against never caching, in input tokens; below 0 where caching cost more.
        spent: What was paid for prefixes, in input tokens.
    """

    uses: int
    reads: int
    writes: int
    lost_writes: float
    saved: float
    spent: float

    @property
    def hit_rate(self) -> float:
        """Share of the requests that read a cached prefix, in [0, 1]."""
        return self.reads / self.uses if self.uses else 0.0


@dataclass(slots=True)
class _Prefix:
    last_s: float
    counts: list[float]
    choice: str = NO_CACHING
    alive_until_s: float | None = None
    read: bool = False
    seen: int = field(default=1)


class PrefixPlanner:
    """Choose the caching of each request from the gaps seen before it, of this prefix and of all.

    A prefix of which little is known is taken to behave like the others did at the same point of their life:
    after the first use apart from later ones, since most prefixes are used once or often. One
    that was not used again within the longest lifetime counts as not coming back, from then on.

    Args:
        rule: What the provider asks and gives.
        prior_weight: How many gaps of its own a prefix needs to be judged half by them.
        most_prefixes: Prefixes remembered; the longest unused go first.
    """

    def __init__(self, rule: CacheRule, *, prior_weight: float = 2.0, most_prefixes: int = 100_000) -> None:
        if prior_weight <= 0 or most_prefixes < 1:
            raise ConfigurationError(
                f"prior_weight must be above 0 and most_prefixes 1 or more, not {prior_weight} and "
                f"{most_prefixes}"
            )
        self.rule = rule
        self._weight, self._most = prior_weight, most_prefixes
        self._ttls = sorted(rule.ttls_s.items(), key=lambda item: item[1])
        self._read = float(rule.read)
        self._write = {name: float(value) for name, value in rule.write.items()}
        # Of gaps after a first use and after later ones: how many fell within each lifetime and beyond all.
        self._shared = [[1.0] * (len(self._ttls) + 1) for _ in (_FIRST, _LATER)]
        self._prefixes: OrderedDict[str, _Prefix] = OrderedDict()
        # Those whose last gap is not over, the longest unused first.
        self._open: OrderedDict[str, _Prefix] = OrderedDict()
        self._lock = threading.Lock()
        self._uses = self._reads = self._writes = 0
        self._lost = self._spent = self._plain = 0.0

    def choose(self, prefix: str, tokens: int, now_s: float) -> str:
        """Decide how to send a request's prefix, and learn from when it came.

        Args:
            prefix: What names the prefix, such as a hash of its text.
            tokens: Its length.
            now_s: Seconds on any clock that does not go back.

        Returns:
            `none`, or the lifetime to ask for.
        """
        with self._lock:
            self._close(now_s)
            known = self._prefixes.pop(prefix, None)
            if known is None:
                known = _Prefix(now_s, [0.0] * (len(self._ttls) + 1))
                known.choice = self._best(known, _FIRST, tokens)
                self._pay(known, tokens, now_s, alive=False)
            else:
                self._learn(known, now_s, is_open=self._open.pop(prefix, None) is not None)
                alive = known.alive_until_s is not None and now_s <= known.alive_until_s
                known.choice = self._best(known, _LATER, tokens)
                self._pay(known, tokens, now_s, alive=alive)
                known.seen += 1
            known.last_s = now_s
            self._prefixes[prefix] = self._open[prefix] = known
            while len(self._prefixes) > self._most:
                oldest, _ = self._prefixes.popitem(last=False)
                self._open.pop(oldest, None)
            return known.choice

    def __len__(self) -> int:
        """Count the prefixes that are remembered."""
        return len(self._prefixes)

    def stats(self) -> PrefixStats:
        """Say what caching was worth so far."""
        with self._lock:
            return PrefixStats(
                uses=self._uses,
                reads=self._reads,
                writes=self._writes,
                lost_writes=self._lost,
                saved=self._plain - self._spent,
                spent=self._spent,
            )

    def expected(self) -> Mapping[str, Decimal]:
        """Return what an average request's prefix costs by option, in multiples of the input price."""
        with self._lock:
            counts = [sum(both) for both in zip(*self._shared, strict=True)]
            return {name: Decimal(str(round(cost, 6))) for name, cost in self._costs(counts).items()}

    def _close(self, now_s: float) -> None:
        """Learn from the prefixes that were not used again for longer than any lifetime."""
        longest = self._ttls[-1][1] if self._ttls else 0
        while self._open:
            prefix, known = next(iter(self._open.items()))
            if now_s - known.last_s <= longest:
                return
            del self._open[prefix]
            self._share(known, len(self._ttls))

    def _learn(self, known: _Prefix, now_s: float, *, is_open: bool) -> None:
        gap = max(0.0, now_s - known.last_s)
        place = next((at for at, (_, ttl) in enumerate(self._ttls) if gap <= ttl), len(self._ttls))
        known.counts[place] += 1
        if is_open:
            self._share(known, place)

    def _share(self, known: _Prefix, place: int) -> None:
        self._shared[_FIRST if known.seen == 1 else _LATER][place] += 1

    def _best(self, known: _Prefix, stage: int, tokens: int) -> str:
        if tokens < self.rule.minimum_tokens and not self.rule.automatic:
            return NO_CACHING
        shared = self._shared[stage]
        total = sum(shared)
        counts = [mine + self._weight * all_ / total for mine, all_ in zip(known.counts, shared, strict=True)]
        costs = self._costs(counts)
        if self.rule.automatic:
            costs.pop(NO_CACHING)
        return min(costs, key=lambda name: costs[name])

    def _costs(self, counts: list[float]) -> dict[str, float]:
        total = sum(counts)
        costs = {NO_CACHING: 1.0}
        within = 0.0
        for (name, _), count in zip(self._ttls, counts, strict=False):
            within += count
            hit = within / total
            costs[name] = hit * self._read + (1 - hit) * self._write[name]
        return costs

    def _pay(self, known: _Prefix, tokens: int, now_s: float, *, alive: bool) -> None:
        self._uses += 1
        self._plain += tokens
        if alive:
            self._reads += 1
            known.read = True
            self._spent += tokens * self._read
        elif known.choice == NO_CACHING:
            self._spent += tokens
        else:
            if known.alive_until_s is not None and not known.read:
                self._lost += tokens
            self._writes += 1
            known.read = False
            self._spent += tokens * self._write[known.choice]
        if known.choice != NO_CACHING:
            known.alive_until_s = now_s + dict(self._ttls)[known.choice]
        elif not alive:
            known.alive_until_s = None
