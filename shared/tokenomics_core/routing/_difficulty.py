"""Tell which questions the cheap model gets right, from the text alone, in a tenth of a millisecond."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._difficulty_file import read_weights, write_weights
from tokenomics_core.routing._difficulty_fit import FitReport, Settings, fit_weights
from tokenomics_core.routing._difficulty_weights import Weights
from tokenomics_core.routing._outcomes import OutcomeRecord, outcome_arrays
from tokenomics_core.routing._protocols import Assessment
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = ["DifficultyClassifier"]


class DifficultyClassifier:
    """Predict for each tier the chance that its answer is good enough.

    Logistic regressions on the rarity-weighted words of a question and fifteen robust features
    (`FEATURE_NAMES`), one per tier, calibrated on held-out folds. Where a question's words are not those of
    the training questions, words mislead; there the robust features alone decide, and the answer says so.

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
        max_terms: int = 60_000,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        """Set how to learn; the defaults come from `benchmarks/routing.py`.

        Args:
            strength: Inverse regularisation of the model with words (the C of scikit-learn).
            robust_strength: The same of the model with the fifteen features only.
            feature_weight: Weight of a standardised feature beside the words.
            max_terms: Most words and pairs of words to keep.
            folds: Parts for the held-out predictions that calibrate.
            seed: Of the shuffle into folds.
        """
        self.settings = Settings(strength, robust_strength, feature_weight, max_terms, folds, seed)
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

    def fit_outcomes(self, texts: Sequence[str], outcomes: Mapping[str, ArrayLike]) -> DifficultyClassifier:
        """Learn from the outcomes of N tiers, the weakest first; NaN where a tier was not asked."""
        self.weights_, self.report_ = fit_weights(texts, outcomes, self.settings)
        return self

    def fit_records(self, records: Iterable[OutcomeRecord | Mapping[str, object]]) -> DifficultyClassifier:
        """Learn from one's own log: right or wrong, scores, preferences or thumbs (see `OutcomeRecord`)."""
        return self.fit_outcomes(*outcome_arrays(records))

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
        """Tell for which questions only the robust features decide, shape (n,)."""
        weights = self._learned()
        return np.array([weights.chances(text)[1] for text in texts], dtype=np.bool_)

    def chances(self, text: str) -> tuple[dict[str, float], bool]:
        """Predict for one question: each learned tier's chance, and whether it is out of domain."""
        weights = self._learned()
        values, outside = weights.chances(text)
        return dict(zip(weights.tiers, values, strict=True)), outside

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request for a router.

        Tiers of the names it was trained on get their own chances. Where the names are others, as with the
        shipped weights, the first and last of `tiers` stand for the weakest and strongest it knows, and those
        between them are placed evenly.
        """
        learned, outside = self.chances(request.question)
        names = [tier.name for tier in tiers]
        if set(names) <= learned.keys():
            chances = {name: learned[name] for name in names}
        else:
            weak, strong = learned[self.tiers_[0]], learned[self.tiers_[-1]]
            steps = max(1, len(names) - 1)
            chances = {name: weak + (strong - weak) * place / steps for place, name in enumerate(names)}
        return Assessment(
            name=self.name,
            probabilities=chances,
            score=learned[self.tiers_[-1]] - learned[self.tiers_[0]],
            out_of_domain=outside,
            reasons=("its words are unlike those of the training questions: features alone decide",)
            if outside
            else (),
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
