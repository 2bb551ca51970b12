"""Serve much while wrong answers stay under a bound, learning from what is paid for anyway."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenomics_core.cache._background import Background
from tokenomics_core.cache._clues import clues_of
from tokenomics_core.cache._experience import BINS, Experience, bin_of, refit, score_bin
from tokenomics_core.cache._pair_guards import chosen_guards
from tokenomics_core.cache._protocols import Decision, PolicyReport
from tokenomics_core.cache._verifier import Judgement, Verifier
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.cache._entry import Neighbour

__all__ = ["BoundedError"]

_RECALIBRATE_EVERY: Final = 20
# The threshold is chosen again and again; each look spends less than the whole chance of an error.
_ONE_LOOK: Final = 0.4
_SOFT: Final = frozenset(
    {"order", "scope", "person", "tense", "question_word", "aspect", "swap", "insertion"}
)


class BoundedError:
    """Serves as much as it can while wrong answers stay under a share of all requests.

    It begins with the verifier's probability and a threshold that kept the bound on other questions. Every
    miss whose fresh answer is compared with the nearest one's teaches it what is right in this namespace; of
    what it would serve it asks anew for a share, to learn of its own mistakes too. From the outcomes it keeps
    the lowest threshold at which an upper confidence bound of the wrong answers among all requests stays
    under `max_error`; below a probability of 0.8 it never serves, however much room the bound leaves.
    What is promised and what is not: `docs/cache_policies.md`.

    Args:
        max_error: Greatest share of wrong answers among all requests, exact hits included, in (0, 1).
        confidence: Of the bound at each choice of the threshold, in (0.5, 1).
        explore: Share of would-be hits that are asked anew to learn from, in [0, 0.5]; four times as many
            until 60 were, once outcomes are told at all.
        seed: Of the choice which ones.
        guards: `default`, `strict`, `none`, or names of guards. Those about numbers, units, dates, names,
            negation and antonyms always hold; the others are released in a namespace once outcomes show that
            they object in vain.
        english: Whether the guards that know English words are on.
        verifier: Another verifier than the one that is shipped.
        compare: With how many groups' answers a fresh one is compared, so that equal ones share a group.

    Raises:
        ConfigurationError: A setting is out of its range, or there is no such guard.
    """

    def __init__(
        self,
        max_error: float = 0.02,
        confidence: float = 0.95,
        *,
        explore: float = 0.02,
        seed: int = 0,
        guards: str | Iterable[str] = "default",
        english: bool = True,
        verifier: Verifier | None = None,
        compare: int = 3,
    ) -> None:
        for name, value, low, high in (
            ("max_error", max_error, 0.0, 1.0),
            ("confidence", confidence, 0.5, 1.0),
            ("explore", explore, -1e-9, 0.5),
        ):
            if not low < value < high:
                limits = f"between {max(low, 0.0)} and {high}"
                raise ConfigurationError(f"{name} must be {limits}, not {value}; no policy was made")
        if compare < 1:
            raise ConfigurationError(f"compare must be 1 or more, not {compare}; no policy was made")
        self.max_error, self.confidence, self.explore, self.seed = max_error, confidence, explore, seed
        self.guards = chosen_guards(guards, english=english)
        self._verifier = verifier or Verifier()
        self._compare = compare
        self._first = self._verifier.threshold(max_error)
        self._clues = self._verifier.clues
        self._kept: dict[str, _Namespace] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name and version; learned state of another one is not restored."""
        return f"bounded-error/1 max_error={self.max_error:g} verifier/{self._verifier.version}"

    def decide(self, namespace: str, question: str, neighbours: Sequence[Neighbour]) -> Decision:
        """Decide on the neighbours, the nearest first."""
        with self._lock:
            kept = self._namespace(namespace)
            background = kept.background.take(neighbours)
            if not neighbours:
                kept.experience.count(None)
                return Decision(
                    serve=False, reason="nothing_near", threshold=_least(kept.experience.threshold)
                )
        judged = self._verifier.judge(question, neighbours, background=background)
        clues = clues_of(judged, neighbours, background or self._verifier.background)
        with self._lock:
            return self._choose(namespace, kept.experience, judged, clues, neighbours)

    def count_exact(self, namespace: str) -> None:
        """Count a request that was answered exactly and did not reach the decision."""
        with self._lock:
            self._namespace(namespace).experience.count(None)

    def learn(
        self, namespace: str, decision: Decision, same: Mapping[str, bool], *, given: bool = False
    ) -> None:
        """Learn which groups' answers were the same as the right one; see `CachePolicy.learn`.

        Every 20th outcome chooses the threshold anew, and now and then the weights of the clues are fitted
        again; that takes some milliseconds here and none in `decide`.
        """
        del given
        evidence = decision.evidence
        right = same.get(decision.neighbour.group) if decision.neighbour else None
        if right is None or not isinstance(evidence, _Evidence):
            return
        sample = None
        with self._lock:
            experience = self._namespace(namespace).experience
            due = experience.note(evidence.clues, right, guard=evidence.guard, servable=evidence.servable)
            if due:
                sample = experience.sample()
        weights = None if sample is None else refit(*sample)
        with self._lock:
            if weights is not None:
                experience.adopt(weights)
            if due or experience.labels % _RECALIBRATE_EVERY == 0:
                experience.recalibrate(self.max_error, 1.0 - _ONE_LOOK * (1.0 - self.confidence))

    def report(self, namespace: str) -> PolicyReport:
        """Say what is known of the error."""
        with self._lock:
            kept = self._kept.get(namespace)
            experience = kept.experience if kept else self._inexperienced()
            bound = experience.bound
            return PolicyReport(
                requests=experience.requests,
                served=experience.served,
                labels=experience.labels,
                wrong=experience.wrong,
                threshold=_least(experience.threshold),
                error=None if bound is None else bound.error,
                error_upper=None if bound is None else bound.upper,
                confidence=self.confidence,
                max_error=self.max_error,
            )

    def namespaces(self) -> list[str]:
        """Name what has statistics."""
        with self._lock:
            return sorted(self._kept)

    def state(self, namespace: str) -> bytes:
        """Return what was learned, as UTF-8 JSON of some ten kilobytes."""
        with self._lock:
            kept = self._kept.get(namespace) or _Namespace(self._inexperienced())
            values = {
                "policy": self.name,
                "background": kept.background.values(),
                "experience": kept.experience.values(),
            }
        return json.dumps(values).encode()

    def restore(self, namespace: str, state: bytes) -> bool:
        """Take up what was learned; False, and nothing changes, where it is damaged or another policy's."""
        try:
            values = json.loads(state)
            if values["policy"] != self.name:
                return False
            kept = _Namespace(Experience.restored(values["experience"]))
            kept.background = Background(*(float(value) for value in values["background"]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return False
        with self._lock:
            self._kept[namespace] = kept
        return True

    def _namespace(self, namespace: str) -> _Namespace:
        kept = self._kept.get(namespace)
        if kept is None:
            kept = self._kept[namespace] = _Namespace(self._inexperienced())
        return kept

    def _inexperienced(self) -> Experience:
        first = bin_of(self._first)
        if self._clues is None:
            return Experience(first)
        start = score_bin(self._clues.trusted_from)
        return Experience(start, threshold=max(start, first), weights=self._clues.weights)

    def _choose(
        self,
        namespace: str,
        experience: Experience,
        judged: Judgement,
        clues: tuple[float, ...],
        neighbours: Sequence[Neighbour],
    ) -> Decision:
        bin_ = experience.score(clues)
        guard = self._objection(experience, judged.fired)
        experience.count(bin_ if guard is None else None)
        experience.decided += 1
        sure = experience.threshold is not None and bin_ >= experience.threshold
        if not experience.labels:
            sure = judged.probability >= self._first
        serve = sure and guard is None
        explored = serve and self._draw(namespace, experience.decided) < experience.exploration(self.explore)
        experience.served += serve and not explored
        experience.explored += explored
        reason: Any = "explore" if explored else "verified" if serve else "guard" if guard else "unsure"
        groups = tuple(dict.fromkeys(neighbour.group for neighbour in neighbours))
        return Decision(
            serve=serve and not explored,
            reason=reason,
            neighbour=neighbours[0],
            probability=_probability(experience.weights, clues),
            threshold=_least(experience.threshold),
            guard=guard,
            compare=groups[: self._compare],
            evidence=_Evidence(clues, guard, guard is None),
        )

    def _objection(self, experience: Experience, fired: frozenset[str]) -> str | None:
        for name in self.guards:
            if name in fired and not (name in _SOFT and experience.releases(name)):
                return name
        return None

    def _draw(self, namespace: str, number: int) -> float:
        """Draw from [0, 1): the same for the same seed, namespace and place in the row of decisions."""
        digest = hashlib.blake2s(f"{self.seed}/{namespace}/{number}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64


class _Evidence(NamedTuple):
    clues: tuple[float, ...]
    guard: str | None
    servable: bool


class _Namespace:
    def __init__(self, experience: Experience) -> None:
        self.background = Background()
        self.experience = experience


def _probability(weights: Sequence[float], clues: Sequence[float]) -> float:
    logit = sum(weight * clue for weight, clue in zip(weights, clues, strict=True))
    return 1.0 / (1.0 + math.exp(-min(max(logit, -30.0), 30.0)))


def _least(bin_: int | None) -> float | None:
    """Return the least probability of a bin."""
    return None if bin_ is None else 1.0 - (1.0 - bin_ / BINS) ** 2
