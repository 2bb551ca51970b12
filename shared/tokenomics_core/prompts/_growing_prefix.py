"""For how long to cache a conversation, which grows with every call."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from tokenomics_core.prompts._cache_rules import CacheRule
from tokenomics_core.prompts._prefix_plan import NO_CACHING
from tokenomics_core.prompts._prefix_planner import PrefixPlanner

__all__ = ["GrowingPrefixPlanner"]

_MOST = 100_000
_SHARED_GAPS = 2.0
"""What all conversations' gaps weigh beside a conversation's own."""


@dataclass(slots=True)
class _Conversation:
    last_s: float
    tokens: int
    gaps: list[float] = field(default_factory=list)
    alive_until_s: float = -math.inf


class GrowingPrefixPlanner:
    """Chooses a lifetime where each call also writes what is new since the one before.

    Whether caching pays at all is the decision of a `PrefixPlanner`. Which lifetime does is decided by what
    this call and the next cost with each: a longer one writes dearer now, all that is new, and spares writing
    all anew after a gap. Gaps of which none was ever seen are not expected.

    Args:
        rule: What the provider asks and gives.
    """

    def __init__(self, rule: CacheRule) -> None:
        self._planner = PrefixPlanner(rule)
        self._ttls = sorted(rule.ttls_s.items(), key=lambda item: item[1])
        self._write = {name: float(value) for name, value in rule.write.items()}
        self._read = float(rule.read)
        self._shared = [1.0] + [0.0] * len(self._ttls)
        self._known: OrderedDict[str, _Conversation] = OrderedDict()
        self._lock = threading.Lock()

    def choose(self, conversation: str, tokens: int, now_s: float) -> str:
        """Decide how to send a conversation's next call.

        Args:
            conversation: What names it.
            tokens: All that is sent.
            now_s: Seconds on any clock that does not go back.

        Returns:
            `none`, or the lifetime to ask for.
        """
        choice = self._planner.choose(conversation, tokens, now_s)
        with self._lock:
            known = self._known.pop(conversation, None)
            if known is None:
                known = _Conversation(now_s, 0, [0.0] * (len(self._ttls) + 1))
            else:
                self._learn(known, now_s - known.last_s)
            if choice != NO_CACHING:
                is_alive = now_s <= known.alive_until_s
                new = max(tokens - known.tokens, 0) if is_alive else tokens
                costs = self._costs(known.gaps, tokens, new)
                choice = min(costs, key=lambda name: costs[name])
                known.alive_until_s = now_s + dict(self._ttls)[choice]
            known.last_s, known.tokens = now_s, tokens
            self._known[conversation] = known
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return choice

    def _learn(self, known: _Conversation, gap_s: float) -> None:
        place = next((at for at, (_, ttl_s) in enumerate(self._ttls) if gap_s <= ttl_s), len(self._ttls))
        known.gaps[place] += 1
        self._shared[place] += 1

    def _costs(self, gaps: list[float], tokens: int, new: int) -> dict[str, float]:
        """Cost this call and the next by lifetime, in tokens of plain input."""
        weight = _SHARED_GAPS / sum(self._shared)
        counts = [own + weight * shared for own, shared in zip(gaps, self._shared, strict=True)]
        costs: dict[str, float] = {}
        within = 0.0
        for (name, _), count in zip(self._ttls, counts, strict=False):
            within += count
            hit, write = within / sum(counts), self._write[name]
            this = self._read * (tokens - new) + write * new
            costs[name] = this + tokens * (hit * self._read + (1 - hit) * write)
        return costs
