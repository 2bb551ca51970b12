"""The chance that two questions have the same answer, beyond how near their vectors are."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenomics_core.cache._clues import CLUES, CluePrior
from tokenomics_core.cache._features import FEATURES, background_of, pair_features
from tokenomics_core.cache._pair import Pair, compare
from tokenomics_core.cache._pair_guards import fired_guards
from tokenomics_core.cache._question import analyze
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tokenomics_core.cache._entry import Neighbour

__all__ = ["Judgement", "Verifier"]

_FORMAT: Final = 1


class _Weights(NamedTuple):
    layers: list[Any]
    background: float
    thresholds: list[tuple[float, float]]
    version: str
    clues: CluePrior | None


class Judgement(NamedTuple):
    """What the verifier thinks of a neighbour.

    Attributes:
        probability: That its answer is right, in [0, 1].
        pair: The two questions held against each other.
        fired: All guards that object to it.
    """

    probability: float
    pair: Pair
    fired: frozenset[str]


class Verifier:
    """Judges whether two questions have the same answer.

    A small network over features of the pair (`_features.py`), trained on public pairs for the built-in
    embedder; how near farther neighbours are tells it what near means with another one or in a narrow field.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        self._layers, self._background, self._thresholds, self.version, self._clues = _read(weights)

    @property
    def background(self) -> float:
        """Mean similarity of farther neighbours where nothing has been seen yet."""
        return self._background

    @property
    def clues(self) -> CluePrior | None:
        """How clues beside its own word are weighed at first; None where its file does not say."""
        return self._clues

    def probability(
        self, question: str, other: str, similarity: float, *, background: float | None = None
    ) -> float:
        """Return the chance in [0, 1] that two questions have the same answer; symmetric in the two.

        Args:
            question: One question.
            other: Another one.
            similarity: Cosine of their vectors, in [-1, 1].
            background: Mean similarity of farther neighbours; None where unknown.
        """
        pair = compare(analyze(question), analyze(other))
        return self._forward(pair_features(pair, similarity, self._known(background), None))

    def judge(
        self, question: str, neighbours: Sequence[Neighbour], *, background: float | None = None
    ) -> Judgement:
        """Judge the first of the neighbours, given how near the others are."""
        first = neighbours[0]
        pair = compare(analyze(question), analyze(first.question))
        tail = background_of(neighbours)
        fired = fired_guards(pair)
        features = pair_features(pair, first.similarity, self._known(background), tail, fired=fired)
        return Judgement(self._forward(features), pair, fired)

    def threshold(self, max_error: float) -> float:
        """Return the probability to ask for where no outcome is known yet.

        It comes from streams of questions of the training's held-out intents; the share of wrong answers
        among all requests stayed well under `max_error`.
        """
        known = [probability for error, probability in self._thresholds if error <= max_error]
        return known[-1] if known else 1.0

    def _known(self, background: float | None) -> float:
        return self._background if background is None else background

    def _forward(self, features: list[float]) -> float:
        import numpy as np  # noqa: PLC0415 - numpy loads with the first decision, not with the package

        value: NDArray[np.float64] = np.array(features)
        for number, (matrix, offset) in enumerate(self._layers):
            value = value @ matrix + offset
            if number < len(self._layers) - 1:
                value = np.maximum(value, 0.0)
        return 1.0 / (1.0 + math.exp(-min(max(float(value[0]), -30.0), 30.0)))


def _read(weights: str | Path | None) -> _Weights:
    if weights is None:
        return _shipped()
    return _parse(Path(weights).read_text(encoding="utf-8"), str(weights))


@cache
def _shipped() -> _Weights:
    path = files("tokenomics_core.cache").joinpath("data", "verifier.json")
    return _parse(path.read_text(encoding="utf-8"), "verifier.json")


def _parse(text: str, origin: str) -> _Weights:
    import numpy as np  # noqa: PLC0415 - see above

    try:
        data = json.loads(text)
        if data["format"] != _FORMAT or tuple(data["features"]) != FEATURES:
            raise ValueError("it is of another version")  # noqa: TRY301 - told below, with its origin
        layers = [
            (np.array(layer["matrix"], float), np.array(layer["offset"], float)) for layer in data["layers"]
        ]
        width = len(FEATURES)
        for matrix, offset in layers:
            if matrix.shape != (width, offset.size) or not (
                np.isfinite(matrix).all() and np.isfinite(offset).all()
            ):
                raise ValueError("its layers do not fit")  # noqa: TRY301 - likewise
            width = offset.size
        thresholds = sorted((float(error), float(least)) for error, least in data["thresholds"])
        clues = None if data.get("clues") is None else _prior(data["clues"])
        return _Weights(layers, float(data["background"]), thresholds, str(data["version"]), clues)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigurationError(
            f"{origin} holds no weights of a verifier ({error}); no verifier was made"
        ) from error


def _prior(data: dict[str, Any]) -> CluePrior:
    weights = tuple(float(weight) for weight in data["weights"])
    found = CluePrior(weights, float(data["trusted_from"]))
    if (
        tuple(data["names"]) != CLUES
        or len(weights) != len(CLUES)
        or not all(map(math.isfinite, (*weights, found.trusted_from)))
    ):
        raise ValueError("its clues do not fit")
    return found
