"""Send questions to the tier whose example utterances they resemble."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tokenomics_core.embedding import Embedder, StaticEmbedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._protocols import Assessment
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SemanticRoutes"]

_TEMPERATURES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)


class SemanticRoutes:
    """Assess requests by how alike they are to examples of what each tier is meant for.

    Every example votes for its tier, the more alike the louder; how much louder is fitted by leaving out one
    example at a time. A tier is good enough for what it and the weaker ones are meant for. A question that
    is less like every example than almost all examples are like each other is out of domain and gets no
    chances: unknown, not easy. With a handful of scattered examples that bound is loose: give ten or more
    each, or set it.
    """

    name = "semantic_routes"

    def __init__(
        self,
        examples: Mapping[str, Sequence[str]],
        embedder: Embedder | None = None,
        *,
        least_similarity: float | None = None,
    ) -> None:
        """Set the examples; nothing is embedded until the first request.

        Args:
            examples: By name of tier, utterances that it is meant for and no weaker one is.
            embedder: Turns texts into vectors; the built-in one if None.
            least_similarity: Cosine below which a question is out of domain; None: the 5 % quantile of the
                examples' similarity to the nearest other example of their tier.

        Raises:
            ConfigurationError: A tier has no example, an example is blank or stands under two tiers, or
                `least_similarity` is outside [-1, 1].
        """
        if not examples:
            raise ConfigurationError("no examples were given; nothing could be routed by them")
        owner: dict[str, str] = {}
        for tier, utterances in examples.items():
            if isinstance(utterances, str) or not utterances:
                raise ConfigurationError(
                    f"tier {tier!r} must have a list of examples, not {utterances!r:.80}"
                )
            for text in utterances:
                if not isinstance(text, str) or not text.strip():
                    raise ConfigurationError(f"an example of tier {tier!r} must be text, not {text!r:.80}")
                if owner.setdefault(text, tier) != tier:
                    raise ConfigurationError(
                        f"{text!r:.80} is an example of both {owner[text]!r} and {tier!r}"
                    )
        if least_similarity is not None and not -1 <= least_similarity <= 1:
            raise ConfigurationError(f"least_similarity must be in [-1, 1], not {least_similarity!r}")
        self._texts, self._owners = list(owner), list(owner.values())
        self._embedder: Embedder = embedder if embedder is not None else StaticEmbedder()
        self._least = least_similarity
        self._fitted: _Fitted | None = None
        self._lock = threading.Lock()

    @property
    def least_similarity_(self) -> float:
        """Cosine below which a question is out of domain."""
        return self._ready().least

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request.

        Raises:
            ConfigurationError: An example's tier is not among the tiers.
        """
        fitted = self._ready()
        return self._judge(fitted, self._embedder.embed([request.question])[0], tiers)

    async def aassess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request without blocking the event loop, as far as the embedder does not."""
        if self._fitted is None:
            self._fitted = self._fit(await self._embedder.aembed(self._texts))
        vectors = await self._embedder.aembed([request.question])
        return self._judge(self._fitted, vectors[0], tiers)

    def _ready(self) -> _Fitted:
        with self._lock:
            if self._fitted is None:
                self._fitted = self._fit(self._embedder.embed(self._texts))
            return self._fitted

    def _fit(self, vectors: NDArray[np.float32]) -> _Fitted:
        names = list(dict.fromkeys(self._owners))
        owners = np.array([names.index(owner) for owner in self._owners])
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -np.inf)
        same = np.where(owners[:, None] == owners[None, :], likeness, -np.inf).max(axis=1)
        known = same[np.isfinite(same)]
        least = (
            self._least if self._least is not None else float(np.quantile(known, 0.05)) if len(known) else 0.0
        )
        return _Fitted(vectors, owners, names, _temperature(likeness, owners, len(names)), least)

    def _judge(self, fitted: _Fitted, vector: NDArray[np.float32], tiers: Sequence[Tier]) -> Assessment:
        order = [tier.name for tier in tiers]
        if missing := [name for name in fitted.names if name not in order]:
            raise ConfigurationError(f"examples are given for {missing}, which are no tiers of {order}")
        likeness = fitted.vectors @ vector
        best = int(likeness.argmax())
        nearest = f"{float(likeness[best]):.2f} like {self._texts[best][:60]!r}"
        if likeness[best] < fitted.least:
            reason = f"like no example (nearest {nearest}, needs {fitted.least:.2f})"
            return Assessment(name=self.name, out_of_domain=True, reasons=(reason,))
        votes = _votes(likeness[None, :], fitted.owners, len(fitted.names), fitted.temperature)[0]
        by_tier = dict(zip(fitted.names, votes.tolist(), strict=True))
        chances, met = {}, 0.0
        for name in order:
            met += by_tier.get(name, 0.0)
            chances[name] = min(1.0, met)
        return Assessment(
            name=self.name,
            probabilities=chances,
            score=chances[order[-1]] - chances[order[0]],
            reasons=(nearest,),
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The examples' vectors (n, d), the number of their tier (n,), the tiers' names, and what was fitted."""

    vectors: NDArray[np.float32]
    owners: NDArray[np.int64]
    names: list[str]
    temperature: float
    least: float


def _votes(
    likeness: NDArray[np.float32], owners: NDArray[np.int64], n_tiers: int, temperature: float
) -> NDArray[np.float64]:
    """Share out each row's vote among the tiers, shape (rows, tiers), however many examples each has."""
    loud = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / temperature, dtype=np.float64)
    columns = [
        loud[:, owners == tier].sum(axis=1)
        / np.maximum(np.isfinite(likeness[:, owners == tier]).sum(axis=1), 1)
        for tier in range(n_tiers)
    ]
    votes: NDArray[np.float64] = np.stack(columns, axis=1)
    votes /= votes.sum(axis=1, keepdims=True)
    return votes


def _temperature(likeness: NDArray[np.float32], owners: NDArray[np.int64], n_tiers: int) -> float:
    """Find the temperature under which the other examples vote each one to its own tier most surely."""
    counts = np.bincount(owners, minlength=n_tiers)
    several = counts[owners] > 1
    if n_tiers < 2 or not several.any():
        return _TEMPERATURES[len(_TEMPERATURES) // 2]
    rows, own = likeness[several], owners[several]

    def loss(temperature: float) -> float:
        votes = _votes(rows, owners, n_tiers, temperature)
        return float(-np.log(np.clip(votes[np.arange(len(own)), own], 1e-9, 1)).mean())

    return min(_TEMPERATURES, key=loss)
