"""Predictions for questions by a classifier that has not seen them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError

__all__ = ["HeldOut", "Learner", "fold_numbers", "hold_out", "out_of_fold"]


class Learner(Protocol):
    """A classifier that learns chances from outcomes, such as `DifficultyClassifier`."""

    def fit_outcomes(self, texts: Sequence[str], outcomes: Mapping[str, ArrayLike]) -> Self:
        """Learn from the outcomes of N tiers, the weakest first; NaN where a tier was not asked."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Predict the chance that each tier's answer is good enough, shape (n, tiers)."""


LearnerT = TypeVar("LearnerT", bound=Learner)


def fold_numbers(texts: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Deal questions out to folds of nearly equal size, equal texts always to the same fold.

    Raises:
        ConfigurationError: Fewer than 2 folds, or fewer different questions than folds.
    """
    places = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    if not isinstance(folds, int) or folds < 2 or len(places) < folds:
        raise ConfigurationError(
            f"folds must be from 2 to the number of different questions ({len(places)}), not {folds!r}; "
            "nothing was learned"
        )
    dealt = np.random.default_rng(seed).permutation(np.arange(len(places)) % folds)
    return np.array([dealt[places[text]] for text in texts], dtype=np.int64)


def out_of_fold(
    make: Callable[[], Learner],
    texts: Sequence[str],
    outcomes: Mapping[str, NDArray[np.float64]],
    *,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Predict every question's chances with a classifier fitted on the other folds.

    Args:
        make: Returns a classifier that has learned nothing.
        texts: The questions, n of them.
        outcomes: By tier the outcomes, shape (n,), the weakest tier first; NaN where it was not asked.
        folds: How many parts.
        seed: Of the deal.

    Returns:
        Chances, shape (n, tiers), in the order of `outcomes`.
    """
    number = fold_numbers(texts, folds, seed)
    chances = np.empty((len(texts), len(outcomes)))
    for fold in range(folds):
        train, test = np.flatnonzero(number != fold).tolist(), np.flatnonzero(number == fold).tolist()
        learner = make().fit_outcomes(
            [texts[at] for at in train], {tier: values[train] for tier, values in outcomes.items()}
        )
        chances[test] = learner.predict_proba([texts[at] for at in test])
    return chances


@dataclass(frozen=True, slots=True)
class HeldOut(Generic[LearnerT]):
    """Predictions of classifiers that have not seen the questions, and the classifier that has seen all.

    Attributes:
        classifier: Fitted on every question, the one to use.
        chances: As the classifiers of the folds predict them, shape (n, tiers).
        scaled_chances: The same on the scale of `classifier`.
        scaled_gains: What the last tier gains over the first on that scale, shape (n,).
    """

    classifier: LearnerT
    chances: NDArray[np.float64]
    scaled_chances: NDArray[np.float64]
    scaled_gains: NDArray[np.float64]


def hold_out(
    make: Callable[[], LearnerT],
    texts: Sequence[str],
    outcomes: Mapping[str, NDArray[np.float64]],
    *,
    folds: int = 5,
    seed: int = 0,
) -> HeldOut[LearnerT]:
    """Predict out of fold, and say what that is on the scale of the classifier fitted on everything.

    Classifiers of different folds spread their predictions differently, the more so the fewer labels there
    are, and a threshold solved on a mixture of them lets another share through in the one that is used. A
    held-out prediction is therefore carried over by its standing: where it stands among the predictions of
    its own classifier for what that one learned from, there it is put among those of the final classifier.

    Args:
        make: Returns a classifier that has learned nothing.
        texts: The questions, n of them.
        outcomes: By tier the outcomes, shape (n,), the weakest tier first; NaN where it was not asked.
        folds: How many parts.
        seed: Of the deal.
    """
    number = fold_numbers(texts, folds, seed)
    final = make().fit_outcomes(texts, outcomes)
    seen = _with_gain(final.predict_proba(texts))
    held, scaled = np.empty_like(seen), np.empty_like(seen)
    for fold in range(folds):
        train, test = np.flatnonzero(number != fold).tolist(), np.flatnonzero(number == fold).tolist()
        learner = make().fit_outcomes(
            [texts[at] for at in train], {tier: values[train] for tier, values in outcomes.items()}
        )
        own = _with_gain(learner.predict_proba([texts[at] for at in train]))
        held[test] = _with_gain(learner.predict_proba([texts[at] for at in test]))
        for column in range(seen.shape[1]):
            standing = _standing(own[:, column], held[test, column])
            scaled[test, column] = np.quantile(seen[:, column], standing)
    return HeldOut(final, held[:, :-1], scaled[:, :-1], scaled[:, -1])


def _with_gain(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([chances, chances[:, -1] - chances[:, 0]])


def _standing(among: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which share of `among` lies below each value, ties counted by half."""
    ordered = np.sort(among)
    below, up_to = np.searchsorted(ordered, values), np.searchsorted(ordered, values, side="right")
    return (below + up_to) / (2 * len(ordered))
