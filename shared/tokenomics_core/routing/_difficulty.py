"""Tell which questions the cheap model gets right, from the text alone, in a tenth of a millisecond."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._difficulty_file import read_weights, write_weights
from tokenomics_core.routing._difficulty_fit import Settings, fit_weights
from tokenomics_core.routing._difficulty_weights import Weights
from tokenomics_core.routing._features import Context
from tokenomics_core.routing._fit_report import FitReport
from tokenomics_core.routing._outcomes import OutcomeRecord, outcome_arrays, record_of
from tokenomics_core.routing._protocols import Assessment
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = ["DifficultyClassifier"]

_LOG = logging.getLogger(__name__)


class DifficultyClassifier:
    """Predict for each tier the chance that its answer is good enough.

    Logistic regressions on the rarity-weighted words of a question and on named features (`FEATURE_NAMES`,
    and `CONTEXT_NAMES` of history and tools), one per tier, calibrated on held-out folds. Where a question's
    words or form are not those of the training questions, words mislead; there the features alone decide,
    and the answer says so.

    Attributes:
        weights_: What was learned; None before `fit`.
        report_: What was learned from, how well it is calibrated, and what cannot be known; None for weights
            that were loaded without one.
    """

    name = "difficulty"

    def __init__(
        self,
        *,
        strength: float = 0.3,
        robust_strength: float = 0.03,
        feature_weight: float = 0.3,
        robust_share: float = 0.0,
        max_terms: int = 60_000,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        """Set how to learn; where the defaults come from stands in `docs/routing_classifier.md`.

        Args:
            strength: Inverse regularisation of the model with words (the C of scikit-learn).
            robust_strength: The same of the model with the fifteen features only.
            feature_weight: Weight of a standardised feature beside the words.
            robust_share: What the features-only model counts beside the one with words, in [0, 1]. 0 is best
                on traffic like the training questions; the shipped weights have 0.5, as nobody's traffic is.
            max_terms: Most words and pairs of words to keep.
            folds: Parts for the held-out predictions that calibrate.
            seed: Of the shuffle into folds.
        """
        self.settings = Settings(
            strength, robust_strength, feature_weight, max_terms, folds, seed, robust_share
        )
        self.weights_: Weights | None = None
        self.report_: FitReport | None = None

    @classmethod
    def pretrained(cls) -> DifficultyClassifier:
        """Load the weights that ship with the package.

        Trained on public outcomes of a weak and a strong model; see `training/router/MODEL_CARD.md`.
        """
        with as_file(files("tokenomics_core.routing") / "data" / "difficulty.npz") as path:
            return cls.load(path)

    def fit(self, texts: Sequence[str], weak_ok: ArrayLike, strong_ok: ArrayLike) -> DifficultyClassifier:
        """Learn from questions that a weak and a strong model both answered.

        Args:
            texts: The questions, n of them.
            weak_ok: Whether the weak model's answer was good enough, shape (n,), each in [0, 1].
            strong_ok: The same of the strong model.

        Raises:
            ConfigurationError: Not one outcome each, outcomes outside [0, 1], or fewer than 10 questions.
        """
        return self.fit_outcomes(texts, {"weak": weak_ok, "strong": strong_ok})

    def fit_outcomes(
        self,
        texts: Sequence[str],
        outcomes: Mapping[str, ArrayLike],
        *,
        contexts: Sequence[Context] | None = None,
    ) -> DifficultyClassifier:
        """Learn from the outcomes of N tiers.

        Args:
            texts: The questions, n of them.
            outcomes: By tier, the weakest first, scores of shape (n,), each in [0, 1]; NaN where not asked.
            contexts: The history and the tools of each question.

        Raises:
            ConfigurationError: As of `fit`.
        """
        self.weights_, self.report_ = fit_weights(texts, outcomes, self.settings, contexts)
        for caution in self.report_.cautions:
            _LOG.warning("difficulty classifier: %s", caution)
        return self

    def summary(self) -> str:
        """Return in a few lines what was learned from, and what that is worth."""
        self._learned()
        return (
            self.report_.summary()
            if self.report_ is not None
            else "nothing is known of what was learned from"
        )

    def fit_records(
        self,
        records: Iterable[OutcomeRecord | Mapping[str, object]],
        *,
        tiers: Sequence[str] | None = None,
    ) -> DifficultyClassifier:
        """Learn from one's own log: right or wrong, scores, preferences or thumbs (see `OutcomeRecord`).

        Args:
            records: One per question.
            tiers: The tiers to learn, the weakest first; None: all, ordered by their mean score.

        Raises:
            ConfigurationError: As of `fit`; or a record cannot be read, or one of `tiers` is in none.
        """
        kept = [record_of(number, record) for number, record in enumerate(records, start=1)]
        texts, outcomes = outcome_arrays(kept)
        contexts = [(record.history, record.tools) for record in kept]
        order = _by_mean(outcomes) if tiers is None else list(tiers)
        if missing := [tier for tier in order if tier not in outcomes]:
            raise ConfigurationError(f"no record has an outcome of {missing}; nothing was learned")
        return self.fit_outcomes(texts, {tier: outcomes[tier] for tier in order}, contexts=contexts)

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Predict what the strongest tier gains over the weakest.

        Returns:
            P(strong good enough) - P(weak good enough), shape (n,), in [-1, 1]; higher means send to strong.
        """
        chances = self.predict_proba(texts)
        return chances[:, -1] - chances[:, 0]

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Predict the chance that each tier's answer is good enough, shape (n, tiers)."""
        if isinstance(texts, str):
            raise ConfigurationError(f"texts must be a list of questions, not the text {texts[:60]!r}")
        weights = self._learned()
        rows = [weights.chances(text)[0] for text in texts]
        return np.array(rows, dtype=np.float64).reshape(-1, len(weights.tiers))

    def out_of_domain(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for which questions only the features decide, shape (n,)."""
        weights = self._learned()
        return np.array([weights.chances(text)[1] is not None for text in texts], dtype=np.bool_)

    def chances(self, text: str, *, context: Context = ((), ())) -> tuple[dict[str, float], bool]:
        """Predict for one question: each learned tier's chance, and whether it is out of domain."""
        weights = self._learned()
        values, strange = weights.chances(text, context)
        return dict(zip(weights.tiers, values, strict=True)), strange is not None

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request for a router.

        Tiers of the names it was trained on get their own chances, and others beside them none. Where no
        name is known, as with the shipped weights, the first and last of `tiers` stand for the weakest and
        strongest it knows, and those between them are placed evenly.
        """
        weights = self._learned()
        values, strange = weights.chances(request.question, (request.history, request.tools))
        learned = dict(zip(weights.tiers, values, strict=True))
        chances = {tier.name: learned[tier.name] for tier in tiers if tier.name in learned}
        if not chances:
            steps = max(1, len(tiers) - 1)
            chances = {
                tier.name: values[0] + (values[-1] - values[0]) * place / steps
                for place, tier in enumerate(tiers)
            }
        known = list(chances.values()) if len(chances) > 1 else values
        return Assessment(
            name=self.name,
            probabilities=chances,
            score=known[-1] - known[0],
            out_of_domain=strange is not None,
            reasons=() if strange is None else (f"{strange}: features alone decide",),
        )

    @property
    def tiers_(self) -> tuple[str, ...]:
        """The tiers it was trained on, the weakest first."""
        return self._learned().tiers

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was learned to a versioned `.npz` file, whole or not at all."""
        write_weights(self._learned(), self.report_, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DifficultyClassifier:
        """Read what `save` wrote.

        Raises:
            ConfigurationError: The file is missing, damaged, or of another version.
        """
        classifier = cls()
        classifier.weights_, classifier.report_ = read_weights(Path(path))
        return classifier

    def _learned(self) -> Weights:
        if self.weights_ is None:
            raise ConfigurationError(
                "this DifficultyClassifier has not learned anything; call fit, load or pretrained first"
            )
        return self.weights_


def _by_mean(outcomes: Mapping[str, NDArray[np.float64]]) -> list[str]:
    return sorted(outcomes, key=lambda tier: float(np.nanmean(outcomes[tier])))
