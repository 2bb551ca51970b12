"""Predictions for questions by a classifier that has not seen them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError

__all__ = ["Learner", "fold_numbers", "out_of_fold"]


class Learner(Protocol):
    """A classifier that learns chances from outcomes, such as `DifficultyClassifier`."""

    def fit_outcomes(self, texts: Sequence[str], outcomes: Mapping[str, ArrayLike]) -> Learner:
        """Learn from the outcomes of N tiers, the weakest first; NaN where a tier was not asked."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Predict the chance that each tier's answer is good enough, shape (n, tiers)."""


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
