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
    choice: str
    alive_until_s: float = 0.0
    read: bool = False
    seen: int = field(default=1)


class PrefixPlanner:
    """Choose the caching of each request from the gaps seen before it, of this prefix and of all.

    A prefix of which little is known is taken to behave like the others did at the same point of their life:
    after the first use apart from later ones, since most prefixes are used once or often.

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
            known = self._prefixes.pop(prefix, None)
            if known is None:
                known = _Prefix(now_s, [0.0] * (len(self._ttls) + 1), NO_CACHING)
                known.choice = self._best(known.counts, _FIRST, tokens)
                self._pay(known, tokens, now_s, alive=False)
            else:
                self._learn(known, now_s)
                alive = now_s <= known.alive_until_s
                known.choice = self._best(known.counts, _LATER, tokens)
                self._pay(known, tokens, now_s, alive=alive)
                known.seen += 1
            known.last_s = now_s
            self._prefixes[prefix] = known
            while len(self._prefixes) > self._most:
                self._prefixes.popitem(last=False)
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

    def _learn(self, known: _Prefix, now_s: float) -> None:
        gap = max(0.0, now_s - known.last_s)
        place = next((at for at, (_, ttl) in enumerate(self._ttls) if gap <= ttl), len(self._ttls))
        known.counts[place] += 1
        self._shared[_FIRST if known.seen == 1 else _LATER][place] += 1

    def _best(self, own: list[float], stage: int, tokens: int) -> str:
        if tokens < self.rule.minimum_tokens and not self.rule.automatic:
            return NO_CACHING
        shared = self._shared[stage]
        total = sum(shared)
        counts = [mine + self._weight * all_ / total for mine, all_ in zip(own, shared, strict=True)]
        # The write of a prefix that may never come again; the less is known of it, the more that weighs.
        counts[-1] += 1 / (1 + sum(own))
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
            if known.alive_until_s and not known.read:
                self._lost += tokens
            self._writes += 1
            known.read = False
            self._spent += tokens * self._write[known.choice]
        if known.choice != NO_CACHING:
            known.alive_until_s = now_s + dict(self._ttls)[known.choice]
        elif not alive:
            known.alive_until_s = 0.0
