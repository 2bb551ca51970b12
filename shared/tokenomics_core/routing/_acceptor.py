"""Tell from a cheap model's answer whether it is right, so that only the wrong ones are asked again."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._acceptor_fit import AcceptorReport, Linear, fit_acceptor
from tokenomics_core.routing._answer_features import (
    ANSWER_FEATURE_NAMES,
    ANSWER_FEATURES_VERSION,
    answer_features,
)
from tokenomics_core.routing._protocols import Answer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["AnswerAcceptor"]

_FORMAT = 1
_MOST_BYTES = 4_000_000


class AnswerAcceptor:
    """Predict the chance that an answer is good enough, from question and answer together.

    A calibrated logistic regression on the features of `ANSWER_FEATURE_NAMES`: the question's fifteen;
    arithmetic re-computed, numbers used, hedging, refusal, repetition, length; and where given, log
    probabilities, agreement of further samples, schema validity and code that parses. Features that never
    varied in training count nothing.

    Attributes:
        report_: What was learned from and how well; None before `fit`.
        least_gain_: The gain from which asking the next tier keeps `target_quality` of its quality at the
            least number of calls; None unless the next tier's outcomes were given to `fit`.
    """

    name = "answer"

    def __init__(
        self, *, strength: float = 0.1, folds: int = 10, seed: int = 0, target_quality: float = 0.95
    ) -> None:
        """Set how to learn; `training/acceptor/train.py` prints what the defaults reach.

        Args:
            strength: Inverse regularisation (the C of scikit-learn).
            folds: Parts for the held-out predictions that calibrate.
            seed: Of the shuffle into folds.
            target_quality: Share of the next tier's quality that `least_gain_` keeps.

        Raises:
            ConfigurationError: A number is out of its range.
        """
        if not (strength > 0 and folds >= 2 and 0 < target_quality <= 1):
            raise ConfigurationError("strength must be above 0, folds 2 or more and target_quality in (0, 1]")
        self._strength, self._folds, self._seed, self._target = strength, folds, seed, target_quality
        self._right: Linear | None = None
        self._next: Linear | None = None
        self.least_gain_: float | None = None
        self.report_: AcceptorReport | None = None

    @classmethod
    def pretrained(cls) -> AnswerAcceptor:
        """Load the weights that ship with the package.

        They were learned on one model's worked answers to grade-school maths and hold for such answers;
        what is unlike them is told by `is_out_of_domain`. See `training/acceptor/MODEL_CARD.md`, and fit on
        your own.
        """
        text = (files("tokenomics_core.routing") / "data" / "acceptor.json").read_text(encoding="utf-8")
        return cls._from_json(json.loads(text), "the shipped acceptor")

    def fit(
        self,
        questions: Sequence[str],
        answers: Sequence[Answer | str],
        right: ArrayLike,
        *,
        next_right: ArrayLike | None = None,
    ) -> AnswerAcceptor:
        """Learn from answers that were judged.

        Args:
            questions: n of them.
            answers: One each, of the tier whose answers are to be judged.
            right: How good each answer was, shape (n,), in [0, 1].
            next_right: The same of the next tier's answers, to learn where it would not help either.

        Raises:
            ConfigurationError: Not one each, values outside [0, 1], fewer than 50 answers, or none that was
                wrong (or right).
        """
        rows = [
            answer_features(question, _answer(answer))
            for question, answer in zip(questions, answers, strict=False)
        ]
        if len(questions) != len(answers):
            raise ConfigurationError(
                f"a question needs one answer, not {len(answers)} for {len(questions)}; nothing was learned"
            )
        fitted = fit_acceptor(
            rows,
            right,
            next_right,
            strength=self._strength,
            folds=self._folds,
            seed=self._seed,
            target_quality=self._target,
        )
        self._right, self._next = fitted.right, fitted.next_right
        self.least_gain_, self.report_ = fitted.least_gain, fitted.report
        return self

    def accept_probability(self, question: str, answer: Answer) -> float:
        """Return the chance that the answer is good enough."""
        return self._learned().chance(answer_features(question, answer))

    def assess(self, question: str, answer: Answer) -> AcceptorView:
        """Return everything there is to know of one answer."""
        row = answer_features(question, answer)
        right = self._learned()
        chance = right.chance(row)
        gain = None if self._next is None else self._next.chance(row) - chance
        return AcceptorView(chance, gain, right.is_far(row))

    def gain(self, question: str, answer: Answer) -> float | None:
        """Return how much better the next tier's answer is likely to be; None if that was not learned."""
        return self.assess(question, answer).gain

    def is_out_of_domain(self, question: str, answer: Answer) -> bool:
        """Tell whether question and answer are unlike nearly all (99%) that was learned from."""
        return self._learned().is_far(answer_features(question, answer))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was learned to a versioned JSON file, whole or not at all."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            partial.write_text(json.dumps(self._to_json(), indent=1), encoding="utf-8")
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AnswerAcceptor:
        """Read what `save` wrote.

        Raises:
            ConfigurationError: The file is missing, damaged, or of another version.
        """
        try:
            with Path(path).open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
            data = json.loads(raw if len(raw) <= _MOST_BYTES else b"")  # a file too large is none of ours
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"no acceptor can be read from {path}: {error}") from error
        return cls._from_json(data, str(path))

    def _learned(self) -> Linear:
        if self._right is None:
            raise ConfigurationError(
                "this AnswerAcceptor has not learned anything; call fit, load or pretrained first"
            )
        return self._right

    def _to_json(self) -> dict[str, Any]:
        right = self._learned()
        return {
            "format": _FORMAT,
            "features": {"version": ANSWER_FEATURES_VERSION, "names": list(ANSWER_FEATURE_NAMES)},
            "right": right.to_json(),
            "next_right": None if self._next is None else self._next.to_json(),
            "least_gain": self.least_gain_,
            "report": None if self.report_ is None else asdict(self.report_),
        }

    @classmethod
    def _from_json(cls, data: Any, source: str) -> AnswerAcceptor:
        acceptor = cls()
        try:
            _check_version(data)
            width = len(ANSWER_FEATURE_NAMES)
            acceptor._right = Linear.from_json(data["right"], width)
            if data["next_right"] is not None:
                acceptor._next = Linear.from_json(data["next_right"], width)
            if data["least_gain"] is not None:
                acceptor.least_gain_ = _finite(data["least_gain"])
            if data["report"] is not None:
                acceptor.report_ = AcceptorReport(**data["report"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"no acceptor can be read from {source}: {error}") from error
        return acceptor


@dataclass(frozen=True, slots=True)
class AcceptorView:
    """What an acceptor sees in one answer.

    Attributes:
        probability: Chance that it is good enough.
        gain: How much better the next tier's is likely to be; None if that was not learned.
        out_of_domain: Whether it is unlike anything learned from.
    """

    probability: float
    gain: float | None
    out_of_domain: bool


def _answer(answer: Answer | str) -> Answer:
    return answer if isinstance(answer, Answer) else Answer(text=answer)


def _check_version(data: Any) -> None:
    if data["format"] != _FORMAT or data["features"]["version"] != ANSWER_FEATURES_VERSION:
        raise ValueError("it is of another version")
    if tuple(data["features"]["names"]) != ANSWER_FEATURE_NAMES:
        raise ValueError("its features are others")


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number
