"""A quality or a cost to be met on average, instead of a threshold that nobody can interpret."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._controller import Controller
from tokenomics_core.routing._policies import fall_back
from tokenomics_core.routing._protocols import Assessment, Candidate, PolicyState
from tokenomics_core.routing._request import RouteRequest

__all__ = ["AnswerValue", "TargetCost", "TargetQuality"]

_FIRST_GAIN = 0.1
"""Before anything is solved or seen: the gain in chance at which the dearest tier is worth its price."""


class AnswerValue:
    """Weigh chance against cost at a fixed value: take the tier with the most value left after its cost.

    Args:
        value_usd: What one good answer is worth.

    Raises:
        ConfigurationError: The value is not above 0.
    """

    name = "answer_value"

    def __init__(self, value_usd: Decimal | float | str) -> None:
        self._log_value: float | None = math.log(_value(value_usd))

    @property
    def value_usd(self) -> float | None:
        """What one good answer is taken to be worth now; None while an unsolved target has seen nothing."""
        level = self._level()
        return None if level is None else math.exp(level)

    def choose(
        self,
        assessment: Assessment,  # noqa: ARG002 - the protocol's signature
        candidates: Sequence[Candidate],
        request: RouteRequest,  # noqa: ARG002 - likewise
        state: PolicyState,
    ) -> tuple[int, tuple[str, ...]]:
        """Choose the most valuable tier; where chances or costs are unknown, the safe one."""
        if any(candidate.probability is None for candidate in candidates):
            return fall_back(candidates, state, "nobody can say how good a tier is")
        if any(candidate.cost_usd is None for candidate in candidates):
            return fall_back(candidates, state, "a tier has no known price")
        level = self._level()
        if level is None:
            level = self._first_level(candidates)
        value = math.exp(level)
        worth = [(item.probability or 0.0) * value - float(item.cost_usd or 0) for item in candidates]
        index = max(range(len(candidates)), key=lambda item: (worth[item], -item))
        return index, (f"most left of ${value:.6f} per good answer after its cost",)

    def _level(self) -> float | None:
        return self._log_value

    def _first_level(self, candidates: Sequence[Candidate]) -> float:
        costs = [float(item.cost_usd or 0) for item in candidates]
        spread = max(costs) - min(costs)
        return math.log(spread / _FIRST_GAIN) if spread > 0 else 0.0


class _Target(AnswerValue):
    """A value that moves so that a mean stays on target."""

    def __init__(self, value_usd: Decimal | float | str | None, eta: float) -> None:
        self._eta = eta
        Controller(0.0, eta)  # refuses a wrong eta now
        self._log_value = None
        self.controller: Controller | None = None
        if value_usd is not None:
            self.controller = Controller(math.log(_value(value_usd)), eta)

    def resume(self, level: float) -> None:
        """Go on from the logarithm of a value where it stood before."""
        self.controller = Controller(level, self._eta)

    def observe(
        self,
        index: int,
        candidates: Sequence[Candidate],
        state: PolicyState,  # noqa: ARG002 - the protocol's signature
    ) -> None:
        """Move the value after a decision that stands."""
        if len(candidates) < 2 or any(c.probability is None or c.cost_usd is None for c in candidates):
            return
        if self.controller is None:
            self.controller = Controller(self._first_level(candidates), self._eta)
        self.controller.move(self._off_target(candidates[index], candidates))

    def _level(self) -> float | None:
        return None if self.controller is None else self.controller.level

    def _off_target(self, chosen: Candidate, candidates: Sequence[Candidate]) -> float:
        raise NotImplementedError


class TargetQuality(_Target):
    """Keep a share of the best tier's quality at the least cost, on average over questions.

    The value of a good answer rises while the chances of the chosen tiers fall short of `quality` times the
    best ones, and sinks while they exceed it: the dual of "least cost subject to mean quality".

    Args:
        quality: Share of the best tier's chance of a good answer to keep, in (0, 1].
        value_usd: Value to start from, as `calibrate` solves it from records; without one it starts where the
            dearest tier pays from a gain of 0.1 and finds its level within some dozens of questions.
        eta: How far a decision moves the logarithm of the value; 0 holds it.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    name = "target_quality"

    def __init__(
        self, quality: float = 0.95, *, value_usd: Decimal | float | str | None = None, eta: float = 0.3
    ) -> None:
        if not 0 < quality <= 1:
            raise ConfigurationError(f"quality must be above 0 and at most 1, not {quality!r}")
        super().__init__(value_usd, eta)
        self.quality = quality

    def _off_target(self, chosen: Candidate, candidates: Sequence[Candidate]) -> float:
        top = max(item.probability or 0.0 for item in candidates)
        return self.quality * top - (chosen.probability or 0.0)


class TargetCost(_Target):
    """Get the most quality for a mean cost.

    Args:
        usd_per_1000: What 1,000 calls may cost.
        value_usd: Value of a good answer to start from, as `calibrate` solves it from records.
        eta: How far a decision that is off by the whole target moves the logarithm of the value; 0 holds it.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    name = "target_cost"

    def __init__(
        self,
        usd_per_1000: Decimal | float | str,
        *,
        value_usd: Decimal | float | str | None = None,
        eta: float = 0.05,
    ) -> None:
        self.usd_per_1000 = _value(usd_per_1000, "usd_per_1000")
        super().__init__(value_usd, eta)

    def _off_target(
        self,
        chosen: Candidate,
        candidates: Sequence[Candidate],  # noqa: ARG002 - likewise
    ) -> float:
        target = self.usd_per_1000 / 1000
        return (target - float(chosen.cost_usd or 0)) / target


def _value(raw: Decimal | float | str, name: str = "value_usd") -> float:
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{name} must be above 0, not {raw!r}")
    return value
