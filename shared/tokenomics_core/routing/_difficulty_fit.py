"""Learn a difficulty classifier and find out how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._difficulty_weights import CLIP, Linear, Weights
from tokenomics_core.routing._features import FEATURE_NAMES, feature_matrix
from tokenomics_core.routing._logistic import fit_logistic, sigmoid
from tokenomics_core.routing._words import SparseRows, Vocabulary, terms_of

__all__ = ["ENOUGH_LABELS", "FitReport", "Settings", "fit_weights"]

ENOUGH_LABELS = 200
"""Below this many questions the spread of the result is as large as its gain (benchmarks/routing.py)."""
_LEAST = 10
_PLATT_STRENGTH = 1.0
_OUTSIDE_SHARE = 0.02
_BINS = 10
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Settings:
    """How to learn; see `DifficultyClassifier`."""

    strength: float
    robust_strength: float
    feature_weight: float
    max_terms: int
    folds: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("strength", "robust_strength", "feature_weight"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 < value < math.inf:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")
        for name, least in (("max_terms", 1), ("folds", 2)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(f"{name} must be a whole number of {least} or more, not {value!r}")


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a classifier learned from and what that is worth.

    Attributes:
        questions: How many questions it learned from.
        labels: By tier how many of them had an outcome.
        rates: By tier the share of good answers.
        calibration_errors: By tier the expected calibration error of held-out predictions, in [0, 1].
        apgr: Area of performance gap recovered between the first and last tier on held-out predictions, where
            0.5 is chance; None where it cannot be measured.
        apgr_interval: Its 95% interval.
        cautions: What cannot be known from so little.
    """

    questions: int
    labels: Mapping[str, int]
    rates: Mapping[str, float]
    calibration_errors: Mapping[str, float]
    apgr: float | None
    apgr_interval: tuple[float, float] | None
    cautions: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        lines = [f"learned from {self.questions} questions"]
        lines += [
            f"  {tier}: {self.labels[tier]} outcomes, {self.rates[tier]:.1%} good, "
            f"calibration error {self.calibration_errors[tier]:.3f}"
            for tier in self.labels
        ]
        if self.apgr is not None and self.apgr_interval is not None:
            low, high = self.apgr_interval
            lines.append(f"  APGR held out: {self.apgr:.3f} (95%: {low:.3f} to {high:.3f}; chance 0.5)")
        return "\n".join([*lines, *(f"  caution: {caution}" for caution in self.cautions)])


def fit_weights(
    texts: Sequence[str], outcomes: Mapping[str, ArrayLike], settings: Settings
) -> tuple[Weights, FitReport]:
    """Learn one regression with words and one without for every tier; calibrate on held-out folds."""
    questions = _checked_texts(texts)
    targets = {tier: _checked_outcomes(tier, values, len(questions)) for tier, values in outcomes.items()}
    features = feature_matrix(questions)
    rng = np.random.default_rng(settings.seed)
    fold_of = rng.permutation(np.arange(len(questions)) % settings.folds)
    held_out = {tier: (np.full(len(questions), np.nan), np.full(len(questions), np.nan)) for tier in targets}
    for fold in range(settings.folds):
        train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        part = _Fitted.on([questions[at] for at in train], features[train], settings)
        words, dense = part.rows([questions[at] for at in test]), part.standardised(features[test])
        for tier, target in targets.items():
            models = part.models(target[train])
            for logits, model in zip(held_out[tier], models, strict=True):
                logits[test] = model.logits(words, dense, settings.feature_weight)
    whole = _Fitted.on(questions, features, settings)
    full: list[Linear] = []
    robust: list[Linear] = []
    for tier, target in targets.items():
        models = whole.models(target)
        for kept, model, logits in zip((full, robust), models, held_out[tier], strict=True):
            slope, shift = _platt(logits, target)
            kept.append(Linear(model.words, model.features, model.intercept, slope, shift))
    weights = Weights(
        tuple(targets),
        whole.vocabulary,
        whole.mean,
        whole.deviation,
        settings.feature_weight,
        tuple(full),
        tuple(robust),
        _least_coverage(questions),
    )
    return weights, _report(targets, {tier: logits[0] for tier, logits in held_out.items()}, rng)


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
            flat = np.zeros(len(FEATURE_NAMES))
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


def _report(
    targets: Mapping[str, NDArray[np.float64]],
    logits: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> FitReport:
    labels, rates, errors = {}, {}, {}
    chances: dict[str, NDArray[np.float64]] = {}
    for tier, target in targets.items():
        known = ~np.isnan(target)
        slope, shift = _platt(logits[tier], target)
        chances[tier] = sigmoid(slope * np.nan_to_num(logits[tier]) + shift)
        labels[tier], rates[tier] = int(known.sum()), float(target[known].mean()) if known.any() else math.nan
        errors[tier] = _calibration_error(chances[tier][known], target[known])
    first, last = next(iter(targets)), list(targets)[-1]
    gain, weak, strong = chances[last] - chances[first], targets[first], targets[last]
    both = ~(np.isnan(weak) | np.isnan(strong))
    apgr, interval = (
        _apgr_with_interval(gain[both], weak[both], strong[both], rng) if first != last else (None, None)
    )
    cautions = [
        f"{tier} has {number} outcomes; below {ENOUGH_LABELS} the order of questions is mostly noise: choose "
        "by task or keep the shipped weights"
        for tier, number in labels.items()
        if number < ENOUGH_LABELS
    ]
    if apgr is not None and interval is not None and interval[0] <= 0.5:
        cautions.append("held out, it is not shown to be better than chance")
    if first != last and both.any() and strong[both].mean() <= weak[both].mean():
        cautions.append(f"{last} was not better than {first}: the cheaper of the two is the route")
    if len({round(rate, 6) for rate in rates.values()} & {0.0, 1.0}):
        cautions.append(
            "a tier is always right or always wrong in these records; nothing can be learned of it"
        )
    return FitReport(len(gain), labels, rates, errors, apgr, interval, tuple(cautions))


def _calibration_error(chances: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3, with bins of equal width."""
    if not len(chances):
        return math.nan
    bins = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    total = np.bincount(bins, minlength=_BINS)
    gap = np.abs(np.bincount(bins, chances, minlength=_BINS) - np.bincount(bins, target, minlength=_BINS))
    return float(gap.sum() / total.sum())


def _apgr_with_interval(
    gain: NDArray[np.float64],
    weak: NDArray[np.float64],
    strong: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[float | None, tuple[float, float] | None]:
    measured = _apgr(gain, weak, strong)
    if measured is None:
        return None, None
    draws = []
    for _ in range(100):
        chosen = rng.integers(0, len(gain), len(gain))
        value = _apgr(gain[chosen], weak[chosen], strong[chosen])
        if value is not None:
            draws.append(value)
    spread = float(np.std(draws)) if draws else math.inf
    return measured, (measured - _Z95 * spread, measured + _Z95 * spread)


def _apgr(gain: NDArray[np.float64], weak: NDArray[np.float64], strong: NDArray[np.float64]) -> float | None:
    """Area under the share of the gap recovered over the share sent to the strong tier (RouteLLM, 2024)."""
    if not len(gain) or strong.mean() - weak.mean() <= 0:
        return None
    better = (strong - weak)[np.argsort(-gain, kind="stable")]
    recovered = np.concatenate([[0.0], np.cumsum(better)]) / better.sum()
    return float(((recovered[1:] + recovered[:-1]) / 2).mean())


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
