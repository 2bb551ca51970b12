"""Predictions out of fold are made by classifiers that have not seen the question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing.evaluation import fold_numbers, hold_out, out_of_fold


class Remembers:
    """Gives 1 to what it has seen, and otherwise the share of good answers it saw, spread by text length."""

    def __init__(self, spread=lambda rate: 1.0):
        self._spread = spread

    def fit_outcomes(self, texts, outcomes):
        self.seen, self.rates = set(texts), [float(np.mean(values)) for values in outcomes.values()]
        self.width = self._spread(self.rates[0])
        return self

    def predict_proba(self, texts):
        sizes = np.array([len(text) for text in texts], dtype=float)
        return np.column_stack([np.zeros(len(texts)), self.width * sizes / 1000])


class Confesses(Remembers):
    def predict_proba(self, texts):
        return np.array([[float(text in self.seen), 0.0] for text in texts])


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40), st.integers(2, 4), st.integers(0, 5))
def test_no_question_nor_its_twin_was_seen_by_who_predicts_it(texts, folds, seed):
    if len(set(texts)) < folds:
        return
    outcomes = {"a": np.ones(len(texts)), "b": np.ones(len(texts))}
    found = out_of_fold(Confesses, texts, outcomes, folds=folds, seed=seed)
    assert not found.any()
    number = fold_numbers(texts, folds, seed)
    assert set(number.tolist()) == set(range(folds))
    for text in set(texts):
        assert len({int(at) for at, other in zip(number, texts, strict=True) if other == text}) == 1


def test_held_out_predictions_are_carried_to_the_scale_of_the_final_classifier():
    """Classifiers of folds that spread twice as much leave no mark on the scale."""
    texts = ["x" * size for size in range(1, 201)]
    outcomes = {"weak": (np.arange(200) % 3 == 0).astype(float), "strong": np.ones(200)}
    rates = iter(range(99))
    held = hold_out(lambda: Remembers(lambda rate: 1.0 + next(rates) % 3), texts, outcomes, seed=1)
    final = held.classifier.predict_proba(texts)
    assert held.scaled_gains == pytest.approx(final[:, 1], abs=0.01)
    assert np.abs(held.chances[:, 1] - final[:, 1]).max() > 0.1


def test_the_same_seed_deals_the_same_folds():
    texts = [str(at) for at in range(50)]
    assert (fold_numbers(texts, 5, 3) == fold_numbers(texts, 5, 3)).all()
    assert (fold_numbers(texts, 5, 3) != fold_numbers(texts, 5, 4)).any()


@pytest.mark.parametrize("folds", [1, 4, "3"])
def test_folds_that_cannot_be_dealt_are_refused(folds):
    with pytest.raises(ConfigurationError, match=r"folds must be from 2 to the number of different .*\(3\)"):
        fold_numbers(["a", "b", "c", "a"], folds, 0)
