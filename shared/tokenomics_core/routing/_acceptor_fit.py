"""Learn an acceptor's weights, calibrate them on held-out folds, and solve when to ask again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._curve import expected_calibration_error
from tokenomics_core.routing._features import FEATURE_NAMES
from tokenomics_core.routing._logistic import fit_logistic, sigmoid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["AcceptorReport", "FittedAcceptor", "Linear", "fit_acceptor"]

_LEAST_ANSWERS = 50
_KNOWABLE = 200
_CLIP = 5.0
_NEXT_STRENGTH = 0.03
"""The next tier's chance is told from the question alone, which says little: the prior has to be strong."""
_FAR_QUANTILE = 0.99


@dataclass(frozen=True, slots=True)
class Linear:
    """A calibrated logistic regression on standardised features.

    Attributes:
        mean: Of each feature in training.
        scale: One over its deviation; 0 for a feature that never varied, which so counts nothing.
        weights: Per standardised feature, calibration included.
        intercept: The same.
        far: Mean square of the standardised features beyond which a row is unlike what was learned from.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    far: float

    def chance(self, row: Sequence[float]) -> float:
        """Return the chance for one row."""
        logit = self.intercept
        for value, mean, scale, weight in zip(row, self.mean, self.scale, self.weights, strict=True):
            if weight:
                logit += weight * min(max((value - mean) * scale, -_CLIP), _CLIP)
        if logit >= 0:
            return 1 / (1 + math.exp(-logit))
        small = math.exp(logit)
        return small / (1 + small)

    def is_far(self, row: Sequence[float]) -> bool:
        """Whether a row is unlike nearly all that was learned from."""
        squares = [
            ((value - mean) * scale) ** 2
            for value, mean, scale in zip(row, self.mean, self.scale, strict=True)
            if scale
        ]
        return sum(squares) > self.far * max(1, len(squares))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "mean": list(self.mean),
            "scale": list(self.scale),
            "weights": list(self.weights),
            "intercept": self.intercept,
            "far": self.far,
        }

    @classmethod
    def from_json(cls, data: Any, width: int) -> Linear:
        """Rebuild what `to_json` returned.

        Raises:
            ValueError: A list has another length, or a number is not finite.
        """
        mean, scale, weights = rows = [
            tuple(float(value) for value in data[name]) for name in ("mean", "scale", "weights")
        ]
        intercept, far = numbers = (float(data["intercept"]), float(data["far"]))
        if any(len(row) != width for row in rows):
            raise ValueError(f"a list has not {width} numbers")
        if not all(math.isfinite(value) for row in (*rows, numbers) for value in row):
            raise ValueError("a number is not finite")
        return cls(mean, scale, weights, intercept, far)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptorReport:
    """What an acceptor was learned from, and how well it does on answers held out.

    Attributes:
        answers: How many were learned from.
        right_share: Share of them that were right.
        auc: Chance that a right answer gets a higher probability than a wrong one.
        ece: Expected calibration error in 10 bins.
        next_quality: Mean of the next tier's outcomes; None if they were not given.
        escalated_share: Share of answers asked again at `least_gain_`; None likewise.
        kept_quality: Share of the next tier's quality kept at it; None likewise.
        notes: What cannot be known from so few answers.
    """

    answers: int
    right_share: float
    auc: float
    ece: float
    next_quality: float | None = None
    escalated_share: float | None = None
    kept_quality: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))


@dataclass(frozen=True, slots=True)
class FittedAcceptor:
    """Everything that a fit finds."""

    right: Linear
    next_right: Linear | None
    least_gain: float | None
    report: AcceptorReport


def fit_acceptor(
    rows: Sequence[Sequence[float]],
    right: ArrayLike,
    next_right: ArrayLike | None,
    *,
    strength: float,
    folds: int,
    seed: int,
    target_quality: float,
) -> FittedAcceptor:
    """Learn from the features of answers; see `AnswerAcceptor.fit`."""
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    features = np.asarray(rows, dtype=np.float64)
    target = _outcomes("right", right, len(rows))
    fold = np.random.default_rng(seed).permutation(len(rows)) % folds
    held_out, model = _calibrated(features, target, strength, fold)
    report: dict[str, Any] = {
        "answers": len(rows),
        "right_share": float(target.mean()),
        "auc": _auc(held_out, target),
        "ece": expected_calibration_error(held_out, target),
        "notes": _notes(len(rows)),
    }
    if next_right is None:
        return FittedAcceptor(model, None, None, AcceptorReport(**report))
    after = _outcomes("next_right", next_right, len(rows))
    asked = features.copy()
    asked[:, len(FEATURE_NAMES) :] = 0.0  # the next tier does not see the answer
    after_held_out, after_model = _calibrated(asked, after, _NEXT_STRENGTH, fold)
    gains = after_held_out - held_out
    least, share, kept = _least_gain(gains, target, after, target_quality)
    report |= {"next_quality": float(after.mean()), "escalated_share": share, "kept_quality": kept}
    return FittedAcceptor(model, after_model, least, AcceptorReport(**report))


def _outcomes(name: str, values: ArrayLike, n: int) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    outcomes = np.asarray(values, dtype=np.float64)
    if outcomes.shape != (n,):
        raise ConfigurationError(
            f"{name} needs one value for each of {n} answers, not shape {outcomes.shape}; nothing was learned"
        )
    if n < _LEAST_ANSWERS:
        raise ConfigurationError(
            f"at least {_LEAST_ANSWERS} judged answers are needed, not {n}; nothing was learned"
        )
    if not ((outcomes >= 0) & (outcomes <= 1)).all():
        raise ConfigurationError(f"{name} must be in [0, 1]; nothing was learned")
    if outcomes.min() == outcomes.max():
        raise ConfigurationError(f"all values of {name} are {outcomes[0]:g}; there is nothing to tell apart")
    return outcomes


def _calibrated(
    features: NDArray[np.float64], target: NDArray[np.float64], strength: float, fold: NDArray[np.intp]
) -> tuple[NDArray[np.float64], Linear]:
    """Return held-out chances, calibrated across folds, and the model of all rows."""
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    logits = np.zeros(len(target))
    for number in range(int(fold.max()) + 1):
        test = fold == number
        mean, scale = _standard(features[~test])
        _, weights, intercept = fit_logistic(
            None, _scaled(features[~test], mean, scale), target[~test], strength=strength
        )
        logits[test] = _scaled(features[test], mean, scale) @ weights + intercept
    chances = np.zeros(len(target))
    for number in range(int(fold.max()) + 1):  # the slope is learned on other folds than it is applied to
        test = fold == number
        slope, shift = _platt(logits[~test], target[~test])
        chances[test] = sigmoid(slope * logits[test] + shift)
    slope, shift = _platt(logits, target)
    mean, scale = _standard(features)
    standard = (features - mean) * scale
    _, weights, intercept = fit_logistic(None, np.clip(standard, -_CLIP, _CLIP), target, strength=strength)
    far = float(np.quantile((standard**2).sum(axis=1) / max(1, int((scale > 0).sum())), _FAR_QUANTILE))
    return chances, Linear(
        tuple(mean.tolist()),
        tuple(scale.tolist()),
        tuple((slope * weights * (scale > 0)).tolist()),
        slope * intercept + shift,
        far,
    )


def _standard(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 1e-9, 1 / np.maximum(deviation, 1e-9), 0.0)


def _scaled(
    features: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    scaled: NDArray[np.float64] = np.clip((features - mean) * scale, -_CLIP, _CLIP)
    return scaled


def _platt(logits: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and shift that calibrate log odds; the slope never turns the order."""
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    centre = float(logits.mean())
    column = np.stack([logits - centre], axis=1)
    _, weights, intercept = fit_logistic(None, column, target, strength=1.0)
    slope = max(0.0, float(weights[0]))
    return slope, intercept - slope * centre


def _least_gain(
    gains: NDArray[np.float64], now: NDArray[np.float64], after: NDArray[np.float64], target: float
) -> tuple[float, float, float]:
    """Return the gain above which to ask again, the share that is, and the share of quality kept."""
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    order = np.argsort(-gains, kind="stable")
    quality = now.mean() + np.concatenate([[0.0], np.cumsum((after - now)[order])]) / len(now)
    enough = np.nonzero(quality >= target * after.mean())[0]
    k = int(enough[0]) if len(enough) else int(np.argmax(quality))
    least = math.nextafter(1.0, 2.0) if k == 0 else float(gains[order[k - 1]])
    return least, k / len(now), float(quality[k] / after.mean())


def _auc(chances: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Return the chance that a right answer is ranked above a wrong one, ties counting half."""
    import numpy as np  # noqa: PLC0415 - routing is imported without numpy

    right, wrong = np.sort(chances[target >= 0.5]), np.sort(chances[target < 0.5])
    if not len(right) or not len(wrong):
        return 0.5
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.mean() / 2 / len(wrong))


def _notes(n: int) -> tuple[str, ...]:
    if n >= _KNOWABLE:
        return ()
    return (f"{n} judged answers: below about {_KNOWABLE} neither quality nor calibration can be trusted",)
