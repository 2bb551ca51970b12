"""Learn a difficulty classifier, calibrated on questions that were held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._difficulty_weights import CLIP, Linear, Weights
from tokenomics_core.routing._features import CONTEXT_NAMES, FEATURE_NAMES, Context, feature_matrix
from tokenomics_core.routing._fit_report import ENOUGH_LABELS, FitReport, report_on
from tokenomics_core.routing._logistic import fit_logistic, sigmoid
from tokenomics_core.routing._words import SparseRows, Vocabulary, terms_of

__all__ = ["Settings", "fit_weights"]

_LEAST = 10
_PLATT_STRENGTH = 1.0
_OUTSIDE_SHARE = 0.02
# Fitted on either of MMLU and GSM8K, this finds every question of the other strange and 1 to 2 % of its own.
_RANGE = (0.002, 0.998)
_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Settings:
    """How to learn; see `DifficultyClassifier`."""

    strength: float
    robust_strength: float
    feature_weight: float
    max_terms: int
    folds: int
    seed: int
    robust_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("strength", "robust_strength", "feature_weight"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")
        for name, least in (("max_terms", 1), ("folds", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(f"{name} must be a whole number of {least} or more, not {value!r}")
        share = self.robust_share
        if not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigurationError(f"robust_share must be in [0, 1], not {share!r}")


def fit_weights(
    texts: Sequence[str],
    outcomes: Mapping[str, ArrayLike],
    settings: Settings,
    contexts: Sequence[Context] | None = None,
) -> tuple[Weights, FitReport]:
    """Learn one regression with words and one without for every tier; calibrate on held-out folds."""
    questions = _checked_texts(texts)
    targets = {tier: _checked_outcomes(tier, values, len(questions)) for tier, values in outcomes.items()}
    if not targets:
        raise ConfigurationError("no tier's outcomes were given; nothing was learned")
    if contexts is not None and len(contexts) != len(questions):
        raise ConfigurationError(
            f"{len(contexts)} contexts for {len(questions)} questions; nothing was learned"
        )
    features = feature_matrix(questions, contexts)
    rng = np.random.default_rng(settings.seed)
    fold_of = rng.permutation(np.arange(len(questions)) % settings.folds)
    held_out = _held_out(questions, features, targets, fold_of, settings)
    whole = _Fitted.on(questions, features, settings)
    full: list[Linear] = []
    robust: list[Linear] = []
    chances: dict[str, NDArray[np.float64]] = {}
    for tier, target in targets.items():
        models = whole.models(target)
        for kept, model, logits in zip((full, robust), models, held_out[tier], strict=True):
            slope, shift = _platt(logits, target)
            kept.append(Linear(model.words, model.features, model.intercept, slope, shift))
        with_words, alone = (_calibrated(logits, target, fold_of) for logits in held_out[tier])
        chances[tier] = (1 - settings.robust_share) * with_words + settings.robust_share * alone
    lowest, highest = _ranges(features[:, : len(FEATURE_NAMES)], whole.deviation[: len(FEATURE_NAMES)])
    weights = Weights(
        tuple(targets),
        whole.vocabulary,
        whole.mean,
        whole.deviation,
        lowest,
        highest,
        settings.feature_weight,
        tuple(full),
        tuple(robust),
        _least_coverage(questions),
        float(settings.robust_share),
    )
    return weights, report_on(targets, chances, rng)


_Logits = tuple[NDArray[np.float64], NDArray[np.float64]]


def _held_out(
    questions: list[str],
    features: NDArray[np.float64],
    targets: Mapping[str, NDArray[np.float64]],
    fold_of: NDArray[np.int64],
    settings: Settings,
) -> dict[str, _Logits]:
    """Predict each fold from the others: by tier, log odds with words and without."""
    held_out = {tier: (np.zeros(len(questions)), np.zeros(len(questions))) for tier in targets}
    for fold in range(settings.folds):
        train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        part = _Fitted.on([questions[at] for at in train], features[train], settings)
        words, dense = part.rows([questions[at] for at in test]), part.standardised(features[test])
        for tier, target in targets.items():
            models = part.models(target[train])
            for logits, model in zip(held_out[tier], models, strict=True):
                logits[test] = model.logits(words, dense, settings.feature_weight)
    return held_out


def _calibrated(
    logits: NDArray[np.float64], target: NDArray[np.float64], fold_of: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Calibrate each fold by the others, so that the error that is reported was not fitted."""
    chances = np.zeros(len(logits))
    for fold in np.unique(fold_of):
        test = fold_of == fold
        slope, shift = _platt(logits[~test], target[~test])
        chances[test] = sigmoid(slope * logits[test] + shift)
    return chances


def _ranges(
    features: NDArray[np.float64], deviation: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find between which values each feature of nearly all training questions lies, and a little beyond."""
    lowest = np.quantile(features, _RANGE[0], axis=0, method="lower") - _MARGIN * deviation
    highest = np.quantile(features, _RANGE[1], axis=0, method="higher") + _MARGIN * deviation
    return lowest, highest


@dataclass(frozen=True, slots=True)
class _Model:
    words: NDArray[np.float64]
    features: NDArray[np.float64]
    intercept: float

    def logits(self, rows: SparseRows, dense: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
        if not len(self.words):
            return dense @ self.features + self.intercept
        from_words = np.bincount(rows.row_ids(), rows.values * self.words[rows.columns], minlength=len(dense))
        return from_words + weight * (dense @ self.features) + self.intercept


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The inputs of one training set, shared by its tiers."""

    vocabulary: Vocabulary
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    words: SparseRows
    dense: NDArray[np.float64]
    settings: Settings

    @classmethod
    def on(cls, texts: Sequence[str], features: NDArray[np.float64], settings: Settings) -> _Fitted:
        few = len(texts) < ENOUGH_LABELS
        vocabulary = Vocabulary.fit(texts, min_documents=1 if few else 2, most=settings.max_terms)
        mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
        dense = np.clip((features - mean) / deviation, -CLIP, CLIP)
        return cls(vocabulary, mean, deviation, vocabulary.rows(texts), dense, settings)

    def rows(self, texts: Sequence[str]) -> SparseRows:
        return self.vocabulary.rows(texts)

    def standardised(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        clipped: NDArray[np.float64] = np.clip((features - self.mean) / self.deviation, -CLIP, CLIP)
        return clipped

    def models(self, target: NDArray[np.float64]) -> tuple[_Model, _Model]:
        """Fit one tier with words and without, on the questions whose outcome is known."""
        known = np.flatnonzero(~np.isnan(target))
        if not len(known):
            none = np.zeros(0)
            flat = np.zeros(len(FEATURE_NAMES) + len(CONTEXT_NAMES))
            return _Model(np.zeros(len(self.vocabulary)), flat, 0.0), _Model(none, flat, 0.0)
        weight, settings = self.settings.feature_weight, self.settings
        words = _take(self.words, known)
        full = fit_logistic(words, weight * self.dense[known], target[known], strength=settings.strength)
        robust = fit_logistic(None, self.dense[known], target[known], strength=settings.robust_strength)
        return _Model(*full), _Model(np.zeros(0), robust[1], robust[2])


def _take(rows: SparseRows, kept: NDArray[np.int64]) -> SparseRows:
    if len(kept) == len(rows):
        return rows
    sizes = np.diff(rows.starts)[kept]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    places = np.arange(starts[-1]) + np.repeat(rows.starts[kept] - starts[:-1], sizes)
    return SparseRows(starts, rows.columns[places], rows.values[places], rows.width)


def _platt(logits: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[float, float]:
    """Fit `slope * logit + shift` to held-out outcomes; the slope is never turned round."""
    known = ~(np.isnan(logits) | np.isnan(target))
    if known.sum() < _LEAST:
        return 1.0, 0.0
    column = logits[known].reshape(-1, 1)
    spread = max(float(column.std()), 1e-9)
    _, slope, shift = fit_logistic(None, column / spread, target[known], strength=_PLATT_STRENGTH)
    return max(float(slope[0]) / spread, 1e-3), shift


def _least_coverage(texts: Sequence[str]) -> float:
    """Find the coverage that all but a fiftieth of the training questions have, each without its own help."""
    frequency: dict[str, int] = {}
    terms_by_text = [terms_of(text) for text in texts]
    for terms in terms_by_text:
        for term in set(terms):
            frequency[term] = frequency.get(term, 0) + 1
    least = 2 if len(texts) < ENOUGH_LABELS else 3
    shares = [
        sum([frequency[term] >= least for term in terms]) / len(terms) for terms in terms_by_text if terms
    ]
    return float(np.quantile(shares, _OUTSIDE_SHARE)) if shares else 0.0


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise ConfigurationError(
            f"texts must be a list of questions, not the text {texts[:60]!r}; nothing was learned"
        )
    found = list(texts)
    for text in found:
        if not isinstance(text, str):
            raise ConfigurationError(f"a question must be text, not {text!r:.80}; nothing was learned")
    if len(found) < _LEAST:
        raise ConfigurationError(
            f"{len(found)} questions are too few to learn from, at least {_LEAST} are needed"
        )
    return found


def _checked_outcomes(tier: str, values: ArrayLike, count: int) -> NDArray[np.float64]:
    try:
        target = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the outcomes of {tier!r} must be numbers; nothing was learned") from error
    if target.shape != (count,):
        raise ConfigurationError(
            f"the outcomes of {tier!r} have shape {target.shape}, not ({count},); nothing was learned"
        )
    known = target[~np.isnan(target)]
    if ((known < 0) | (known > 1)).any():
        raise ConfigurationError(f"the outcomes of {tier!r} must lie in [0, 1]; nothing was learned")
    return target
