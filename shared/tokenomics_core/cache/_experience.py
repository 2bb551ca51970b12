"""What a namespace's outcomes have taught: how often a score is right, and what tells right from wrong."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenomics_core.cache._calibration import Bound, lowest_safe_bin, upper_bound
from tokenomics_core.cache._clues import CLUES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BINS", "Experience", "bin_of", "score_bin"]

BINS: Final = 128
_VERIFIER_ONLY: Final = tuple(float(name.endswith("log_odds")) for name in CLUES)
_KEPT: Final = 2_500
_KEPT_AFTER_DRIFT: Final = 150
_ARRIVALS_KEPT: Final = 0.9995
_REFITS: Final = frozenset({60, 120, 200, 300, 450, 650, 900, 1_200})
_REFIT_EVERY: Final = 400
_RIDGE: Final = 4.0
_NEWTON_STEPS: Final = 8
_TRUSTED: Final = 80.0
_ASSUMED: Final = 0.02
_EAGER: Final = 60
_EAGERNESS: Final = 4.0
_LEAST_PROBABILITY: Final = 0.8
_DRIFT_SLACK: Final = 0.05
_DRIFT_ALARM: Final = 14.0
_RELEASE_LABELS: Final = 20.0
_RELEASE_ERROR: Final = 0.15


def bin_of(probability: float) -> int:
    """Return the bin of a probability; bins are finer the nearer it is to 1."""
    return min(int(BINS * (1.0 - math.sqrt(max(0.0, 1.0 - probability)))), BINS - 1)


def score_bin(logit: float) -> int:
    """Return the bin of a log-odds score."""
    return bin_of(1.0 / (1.0 + math.exp(-min(max(logit, -30.0), 30.0))))


class Outcome(NamedTuple):
    """A known outcome; `clues` is None where it was restored, `servable` means that no guard objected."""

    clues: tuple[float, ...] | None
    bin: int
    right: bool
    servable: bool


class Experience:
    """Outcomes of one namespace; not safe from several threads, its policy locks.

    Args:
        start: Bin from which scores are trusted before outcomes are known.
        threshold: Bin from which may be served until the first choice of a threshold; `start` if left out.
        weights: Of the clues before anything is learned; the verifier's log-odds alone if left out.
    """

    def __init__(
        self, start: int, *, threshold: int | None = None, weights: Iterable[float] | None = None
    ) -> None:
        self.start = start
        self.threshold: int | None = start if threshold is None else threshold
        self.bound: Bound | None = None
        self.requests = self.served = self.explored = self.decided = 0
        self.labels = self.wrong = 0
        self.drifts = 0
        self.weights: list[float] = (
            [0.0, 1.0] + [0.0] * (len(CLUES) - 2) if weights is None else list(weights)
        )
        self._prior = tuple(self.weights)
        self.guards: dict[str, list[float]] = {}
        self._weighted_requests = 0.0
        self._arrivals = [0.0] * BINS
        self._rows: deque[Outcome] = deque(maxlen=_KEPT)
        self._trusted = _TRUSTED
        self._alarm = 0.0
        self._since_refit = 0

    def count(self, bin_: int | None) -> None:
        """Count a request; `bin_` is where its score fell, None where it was answered without one."""
        self.requests += 1
        self._weighted_requests = self._weighted_requests * _ARRIVALS_KEPT + 1.0
        if self.requests % 64 == 0:
            fade = _ARRIVALS_KEPT**64
            self._arrivals = [value * fade for value in self._arrivals]
        if bin_ is not None:
            self._arrivals[bin_] += 1.0

    def exploration(self, share: float) -> float:
        """Return how often a would-be hit is asked anew: never before the first outcome, then often."""
        if not self.labels:
            return 0.0
        return min(share * _EAGERNESS, 0.5) if self.explored < _EAGER else share

    def score(self, clues: tuple[float, ...]) -> int:
        """Return the bin of a request's clues under what was learned."""
        return score_bin(sum(weight * clue for weight, clue in zip(self.weights, clues, strict=True)))

    def releases(self, guard: str) -> bool:
        """Whether outcomes have shown that a guard's objection means little here."""
        labels, wrong = self.guards.get(guard, (0.0, 0.0))
        if labels < _RELEASE_LABELS:
            return False
        return upper_bound(wrong, labels, 0.95) <= _RELEASE_ERROR

    def note(self, clues: tuple[float, ...], right: bool, *, guard: str | None, servable: bool) -> bool:
        """Take an outcome in; return whether a refit is due.

        Args:
            clues: Of the request.
            right: Whether the near answer was right.
            guard: Which guard objected.
            servable: Whether no guard objected, so that it speaks for what is served.
        """
        self.labels += 1
        self.wrong += not right
        bin_ = self.score(clues)
        if guard is not None and bin_ >= self.start:
            kept = self.guards.setdefault(guard, [0.0, 0.0])
            kept[0] += 1.0
            kept[1] += not right
        self._watch(bin_, right)
        self._rows.append(Outcome(clues, bin_, right, servable))
        self._since_refit += 1
        return self.labels in _REFITS or self._since_refit >= _REFIT_EVERY

    def recalibrate(self, max_error: float, confidence: float) -> None:
        """Choose the threshold anew from the outcomes that are kept."""
        import numpy as np  # noqa: PLC0415 - numpy loads with the first decision, not with the package

        labels, wrong = np.zeros(BINS), np.zeros(BINS)
        for _, bin_, right, servable in self._rows:
            if servable:
                labels[bin_] += 1
                wrong[bin_] += not right
        arrivals = np.array(self._arrivals)
        above = arrivals[self.start :].sum()
        trusted = self._trusted - labels[self.start :].sum()
        if above > 0 and trusted > 0:
            assumed = trusted * arrivals[self.start :] / above
            labels[self.start :] += assumed
            wrong[self.start :] += assumed * min(_ASSUMED, max_error)
        self.bound = lowest_safe_bin(
            arrivals,
            labels,
            wrong,
            max(self._weighted_requests, 1.0),
            max_error=max_error,
            confidence=confidence,
        )
        # Where most requests are answered otherwise the bound leaves room for answers that are mostly wrong.
        self.threshold = None if self.bound is None else max(self.bound.bin, bin_of(_LEAST_PROBABILITY))

    def sample(self) -> tuple[Any, ...] | None:
        """Return what a refit needs, to be computed without a lock; None while one class has too few."""
        self._since_refit = 0
        rows = [(clues, right) for clues, _, right, _ in self._rows if clues is not None]
        n_wrong = sum(not right for _, right in rows)
        return None if min(n_wrong, len(rows) - n_wrong) <= 5 else (rows[-2_000:], self._prior)

    def adopt(self, weights: list[float]) -> None:
        """Score by new weights from now on, and what is kept again."""
        before = _score_bins(self._rows, self.weights)
        after = _score_bins(self._rows, weights)
        self.weights = weights
        self._move_arrivals(before, after)
        self._rows = deque(
            (
                Outcome(row.clues, bin_, row.right, row.servable)
                for row, bin_ in zip(self._rows, after, strict=True)
            ),
            maxlen=_KEPT,
        )

    def _move_arrivals(self, before: list[int], after: list[int]) -> None:
        """Spread the arrivals of each bin as its outcomes' new scores are spread."""
        moved = [0.0] * BINS
        went: dict[int, list[int]] = {}
        for old, new in zip(before, after, strict=True):
            went.setdefault(old, []).append(new)
        for old, amount in enumerate(self._arrivals):
            places = went.get(old) or [old]
            for new in places:
                moved[new] += amount / len(places)
        self._arrivals = moved

    def _watch(self, bin_: int, right: bool) -> None:
        """Forget the old outcomes where new ones are worse than like ones were (Page's test)."""
        like = [row for row in islice(reversed(self._rows), 600) if abs(row.bin - bin_) <= 6]
        if len(like) < 20:
            return
        expected = (sum(not row.right for row in like) + 1.0) / (len(like) + 2.0)
        self._alarm = max(0.0, self._alarm + (not right) - expected - _DRIFT_SLACK)
        if self._alarm > _DRIFT_ALARM:
            self._alarm = 0.0
            self._trusted = 0.0
            self.drifts += 1
            self.guards.clear()
            self._rows = deque(list(self._rows)[-_KEPT_AFTER_DRIFT:], maxlen=_KEPT)

    def values(self) -> dict[str, Any]:
        """Return what `restored` takes up again, ready for JSON."""
        return {
            "start": self.start,
            "threshold": self.threshold,
            "bound": None if self.bound is None else list(self.bound),
            "counts": [
                self.requests,
                self.served,
                self.explored,
                self.decided,
                self.labels,
                self.wrong,
                self.drifts,
            ],
            "weights": self.weights,
            "guards": self.guards,
            "arrivals": [self._weighted_requests, *self._arrivals],
            "rows": "".join(f"{row.bin | row.right << 7 | row.servable << 8:03x}" for row in self._rows),
            "watch": [self._trusted, self._alarm],
        }

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Experience:
        """Take up saved values.

        Raises:
            KeyError, TypeError, ValueError: They are damaged.
        """
        found = cls(_whole(values["start"], BINS))
        threshold = values["threshold"]
        found.threshold = None if threshold is None else _whole(threshold, BINS)
        bound = values["bound"]
        found.bound = (
            None if bound is None else Bound(_whole(bound[0], BINS), _finite(bound[1]), _finite(bound[2]))
        )
        counts = [_whole(value) for value in values["counts"]]
        (
            found.requests,
            found.served,
            found.explored,
            found.decided,
            found.labels,
            found.wrong,
            found.drifts,
        ) = counts
        found.weights = _finites(values["weights"], len(CLUES))
        found._prior = tuple(found.weights)
        found.guards = {str(name): _finites(kept, 2) for name, kept in values["guards"].items()}
        found._weighted_requests, *found._arrivals = _finites(values["arrivals"], BINS + 1)
        packed = str(values["rows"])
        numbers = [int(packed[i : i + 3], 16) for i in range(0, len(packed), 3)]
        found._rows.extend(Outcome(None, row & 127, bool(row & 128), bool(row & 256)) for row in numbers)
        found._trusted, found._alarm = _finites(values["watch"], 2)
        return found


def _score_bins(rows: Iterable[Outcome], weights: list[float]) -> list[int]:
    """Return the bins of outcomes under other weights; restored ones stay where they were."""
    import numpy as np  # noqa: PLC0415 - see above

    known = np.array([row.clues for row in rows if row.clues is not None]).reshape(-1, len(CLUES))
    logits = iter((known @ np.array(weights)).tolist())
    return [row.bin if row.clues is None else score_bin(next(logits)) for row in rows]


def refit(rows: list[tuple[tuple[float, ...], bool]], prior: tuple[float, ...]) -> list[float]:
    """Fit the weights of the clues to outcomes, drawn towards a prior (logistic, ridge, Newton's steps)."""
    import numpy as np  # noqa: PLC0415 - see above

    x = np.array([clues for clues, _ in rows])
    y = np.array([right for _, right in rows], float)
    center = np.array(prior)
    scale = np.sqrt((x * x).mean(axis=0)) + 1e-3
    x, center = x / scale, center * scale
    weights = center.copy()
    loss = _loss(x, y, weights, center)
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, x.T @ (p - y) + _RIDGE * (weights - center))
        for size in (1.0, 0.5, 0.2, 0.05):
            tried = _loss(x, y, weights - size * step, center)
            if tried < loss:
                weights, loss = weights - size * step, tried
                break
    learned: list[float] = np.clip(weights / scale, -1e3, 1e3).tolist()
    return learned


def _loss(x: Floats, y: Floats, weights: Floats, center: Floats) -> float:
    import numpy as np  # noqa: PLC0415 - see above

    z = x @ weights
    return float((np.logaddexp(0.0, z) - y * z).sum() + _RIDGE / 2 * ((weights - center) ** 2).sum())


def _whole(value: Any, below: int | None = None) -> int:
    if not isinstance(value, int) or value < 0 or (below is not None and value >= below):
        raise ValueError(f"{value!r} is no count")
    return value


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _finites(values: Any, length: int) -> list[float]:
    found = [_finite(value) for value in values]
    if len(found) != length:
        raise ValueError(f"{len(found)} numbers instead of {length}")
    return found
