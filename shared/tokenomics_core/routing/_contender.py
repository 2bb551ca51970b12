"""Anything that can be asked where to send questions, asked about all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._log import OutcomeTable
from tokenomics_core.routing._protocols import Classifier
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._tier import Tier

__all__ = ["Contender", "Decides", "Predicts", "Rates", "contender"]


@runtime_checkable
class Predicts(Protocol):
    """Something with chances for many questions, such as a fitted `DifficultyClassifier`."""

    @property
    def tiers_(self) -> tuple[str, ...]:
        """The tiers it knows, the weakest first."""

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Predict the chance that each tier's answer is good enough, shape (n, tiers)."""


@runtime_checkable
class Decides(Protocol):
    """Something that decides, such as a `Router`."""

    def decide(self, request: RouteRequest) -> Route:
        """Choose a tier for one request."""


Rates = Decides | Predicts | Classifier | Callable[[list[str]], ArrayLike] | ArrayLike


@dataclass(frozen=True, slots=True)
class Contender:
    """What one router makes of all questions.

    Attributes:
        scores: Higher goes to the strongest tier first, shape (n,).
        chances: Of a good answer, shape (n, tiers); None where it only ranks.
        chosen: Index of the tier it decided for, shape (n,); None where it only rates.
        router_usd: Mean cost of rating one question.
    """

    scores: NDArray[np.float64]
    chances: NDArray[np.float64] | None = None
    chosen: NDArray[np.int64] | None = None
    router_usd: float = 0.0


def contender(rates: Rates, table: OutcomeTable) -> Contender:
    """Ask a router, a classifier or a function about every question, or take its numbers as they are.

    Raises:
        ConfigurationError: Its answer is not one score, or one chance for each tier, per question.
    """
    if isinstance(rates, Decides):
        return _decided(rates, table)
    if isinstance(rates, Predicts) and not (table.has_context and isinstance(rates, Classifier)):
        learned = rates.tiers_
        if set(learned) == set(table.tiers):
            chances = rates.predict_proba(table.texts)
            return _rated(chances[:, [learned.index(tier) for tier in table.tiers]], table)
        chances = rates.predict_proba(table.texts)
        ends = chances[:, [0, -1]]
        return _rated(ends if len(table.tiers) == 2 else ends[:, 1] - ends[:, 0], table)
    if isinstance(rates, Classifier):
        return _assessed(rates, table)
    return _rated(rates(table.texts) if callable(rates) else rates, table)


def _rated(values: Any, table: OutcomeTable) -> Contender:  # whatever numpy reads as numbers
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"scores must be numbers ({error}); nothing was measured") from error
    n, width = len(table), len(table.tiers)
    if numbers.shape not in {(n,), (n, width)} or not np.isfinite(numbers).all():
        raise ConfigurationError(
            f"scores must be finite and of shape ({n},), or chances of shape ({n}, {width}), not "
            f"{numbers.shape}; nothing was measured"
        )
    if numbers.ndim == 1:
        return Contender(numbers)
    if ((numbers < 0) | (numbers > 1)).any():
        raise ConfigurationError("chances must lie in [0, 1]; nothing was measured")
    return Contender(numbers[:, -1] - numbers[:, 0], numbers)


def _assessed(classifier: Classifier, table: OutcomeTable) -> Contender:
    tiers = [Tier(name=name, model=name) for name in table.tiers]
    found = [classifier.assess(request, tiers) for request in table.requests]
    chances = _chances([item.probabilities for item in found], table)
    if chances is None:
        scores = [item.score for item in found]
        if any(score is None for score in scores):
            raise ConfigurationError(
                f"{found[0].name} gives neither a score nor a chance for every tier; nothing was measured"
            )
        rated = _rated(scores, table)
    else:
        rated = _rated(chances, table)
    return Contender(rated.scores, rated.chances, None, _mean_usd([item.cost_usd for item in found]))


def _decided(router: Decides, table: OutcomeTable) -> Contender:
    routes = [router.decide(request) for request in table.requests]
    places = {name: at for at, name in enumerate(table.tiers)}
    unknown = sorted({route.tier.name for route in routes} - places.keys())
    if unknown:
        raise ConfigurationError(
            f"the router chose {', '.join(unknown)}, whose outcomes the records do not know; "
            "nothing was measured"
        )
    chosen = np.array([places[route.tier.name] for route in routes], dtype=np.int64)
    chances = _chances([route.probabilities for route in routes], table)
    router_usd = _mean_usd([route.router_usd for route in routes])
    if chances is not None:
        return Contender(chances[:, -1] - chances[:, 0], chances, chosen, router_usd)
    scores = [route.score for route in routes]
    ranks = chosen if any(score is None for score in scores) else scores
    return Contender(np.asarray(ranks, dtype=np.float64), None, chosen, router_usd)


def _chances(rows: Sequence[Any], table: OutcomeTable) -> NDArray[np.float64] | None:
    if not all(tier in row for row in rows for tier in table.tiers):
        return None
    return np.array([[row[tier] for tier in table.tiers] for row in rows], dtype=np.float64)


def _mean_usd(costs: Sequence[Decimal | None]) -> float:
    if any(cost is None for cost in costs):
        return float("nan")
    return float(sum((cost for cost in costs if cost is not None), Decimal(0))) / len(costs)
