"""A threshold that stays where it was put."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from tokenomics_core.cache._background import Background
from tokenomics_core.cache._pair_guards import chosen_guards
from tokenomics_core.cache._protocols import Decision, PolicyReport
from tokenomics_core.cache._verifier import Verifier
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache._entry import Neighbour

__all__ = ["FixedThreshold"]

_MAX_ERROR: Final = 0.02


class FixedThreshold:
    """Serves what reaches a threshold and meets no guard's objection; it learns nothing but how near is near.

    Args:
        threshold: What the nearest question has to reach, in [0, 1]. Without one: for probabilities what kept
            wrong answers under 1 % of the requests on held-out streams, for similarities 0.95.
        on: What is compared with the threshold: the verifier's probability or the cosine alone.
        guards: `default`, `strict`, `none`, or names of guards.
        english: Whether the guards that know English words are on.
        verifier: Another verifier than the one that is shipped.
        compare: With how many groups' answers a fresh one is compared, so that equal ones share a group.

    Raises:
        ConfigurationError: The threshold lies outside [0, 1], or there is no such guard.
    """

    def __init__(
        self,
        threshold: float | None = None,
        *,
        on: Literal["probability", "similarity"] = "probability",
        guards: str | Iterable[str] = "default",
        english: bool = True,
        verifier: Verifier | None = None,
        compare: int = 1,
    ) -> None:
        if on not in ("probability", "similarity"):
            raise ConfigurationError(
                f"on must be 'probability' or 'similarity', not {on!r}; no policy was made"
            )
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigurationError(f"threshold must be in [0, 1], not {threshold}; no policy was made")
        self._verifier = verifier or Verifier()
        default = self._verifier.threshold(_MAX_ERROR) if on == "probability" else 0.95
        self.threshold = default if threshold is None else float(threshold)
        self.on = on
        self.guards = chosen_guards(guards, english=english)
        self._compare = compare
        self._kept: dict[str, _Counts] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name and version; learned state of another one is not restored."""
        return f"fixed-threshold/1 verifier/{self._verifier.version}"

    def decide(self, namespace: str, question: str, neighbours: Sequence[Neighbour]) -> Decision:
        """Decide on the neighbours, the nearest first."""
        with self._lock:
            counts = self._counts(namespace)
            counts.requests += 1
            background = counts.background.take(neighbours)
        if not neighbours:
            return Decision(serve=False, reason="nothing_near", threshold=self.threshold)
        judged = self._verifier.judge(question, neighbours, background=background)
        first = neighbours[0]
        value = judged.probability if self.on == "probability" else first.similarity
        guard = next((name for name in self.guards if name in judged.fired), None)
        serve = value >= self.threshold and guard is None
        if serve:
            with self._lock:
                counts.served += 1
        return Decision(
            serve=serve,
            reason="verified" if serve else "guard" if guard else "unsure",
            neighbour=first,
            probability=judged.probability,
            threshold=self.threshold,
            guard=guard,
            compare=tuple(dict.fromkeys(neighbour.group for neighbour in neighbours))[: self._compare],
        )

    def count_exact(self, namespace: str) -> None:
        """Count a request that was answered exactly and did not reach the decision."""
        with self._lock:
            self._counts(namespace).requests += 1

    def learn(
        self, namespace: str, decision: Decision, same: Mapping[str, bool], *, given: bool = False
    ) -> None:
        """Count an outcome; the threshold stays. See `CachePolicy.learn`."""
        del given
        told = same.get(decision.neighbour.group) if decision.neighbour else None
        if told is None:
            return
        with self._lock:
            counts = self._counts(namespace)
            counts.labels += 1
            counts.wrong += not told

    def report(self, namespace: str) -> PolicyReport:
        """Say what was counted; of its error a fixed threshold knows nothing."""
        with self._lock:
            counts = self._kept.get(namespace) or _Counts()
            return PolicyReport(
                requests=counts.requests,
                served=counts.served,
                labels=counts.labels,
                wrong=counts.wrong,
                threshold=self.threshold,
            )

    def namespaces(self) -> list[str]:
        """Name what has statistics."""
        with self._lock:
            return sorted(self._kept)

    def state(self, namespace: str) -> bytes:
        """Return what was counted, as UTF-8 JSON."""
        with self._lock:
            counts = self._kept.get(namespace) or _Counts()
            values = {
                "policy": self.name,
                "counts": counts.values(),
                "background": counts.background.values(),
            }
        return json.dumps(values).encode()

    def restore(self, namespace: str, state: bytes) -> bool:
        """Take up what was counted; False, and nothing changes, where it is damaged or another policy's."""
        try:
            values = json.loads(state)
            if values["policy"] != self.name:
                return False
            counts = _Counts(*(int(value) for value in values["counts"]))
            counts.background = Background(*(float(value) for value in values["background"]))
        except (KeyError, TypeError, ValueError):
            return False
        with self._lock:
            self._kept[namespace] = counts
        return True

    def _counts(self, namespace: str) -> _Counts:
        return self._kept.setdefault(namespace, _Counts())


class _Counts:
    def __init__(self, requests: int = 0, served: int = 0, labels: int = 0, wrong: int = 0) -> None:
        self.requests, self.served, self.labels, self.wrong = requests, served, labels, wrong
        self.background = Background()

    def values(self) -> list[int]:
        return [self.requests, self.served, self.labels, self.wrong]
