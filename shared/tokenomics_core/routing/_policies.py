"""Rules that turn chances and costs into a choice of tier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._controller import Controller
from tokenomics_core.routing._protocols import Assessment, Candidate, PolicyState
from tokenomics_core.routing._request import RouteRequest

__all__ = ["CheapestGoodEnough", "TargetShare", "Threshold", "best", "cheapest", "fall_back"]

_UNKNOWN_COST = math.inf


class Threshold:
    """Send a question up when its score reaches a threshold.

    Args:
        at: The least gain, in [-1, 1], that goes to the strongest tier; or by tier the least gain that goes
            there, where the weakest tier needs none.

    Raises:
        ConfigurationError: A threshold is not in [-1, 1].
    """

    name = "threshold"

    def __init__(self, at: float | Mapping[str, float]) -> None:
        for value in at.values() if isinstance(at, Mapping) else (at,):
            if not isinstance(value, (int, float)) or not -1 <= value <= 1:
                raise ConfigurationError(f"a threshold must be in [-1, 1], not {value!r}")
        self._at = at if isinstance(at, Mapping) else float(at)

    def choose(
        self,
        assessment: Assessment,  # noqa: ARG002 - the protocol's signature
        candidates: Sequence[Candidate],
        request: RouteRequest,  # noqa: ARG002 - likewise
        state: PolicyState,
    ) -> tuple[int, tuple[str, ...]]:
        """Choose by the score alone; without a score the safe tier."""
        if state.score is None:
            return fall_back(candidates, state, "the classifier gave no score")
        if isinstance(self._at, float):
            return _two_sided(candidates, state.score, self._at)
        needed = [self._at.get(candidate.tier.name, -math.inf) for candidate in candidates]
        reached = [value for value in self._at.values() if value <= state.score]
        wanted = max(reached, default=-math.inf)
        able = [index for index, value in enumerate(needed) if value >= wanted]
        index = min(able, key=lambda item: needed[item]) if able else len(candidates) - 1
        return index, (
            f"gain {state.score:+.3f} reaches {wanted:+.3f}" if reached else f"gain {state.score:+.3f}",
        )


class TargetShare:
    """Send a fixed share of questions up, the hardest ones, and keep to the share while questions change.

    Args:
        share: Share of calls to the strongest tier, in [0, 1].
        at: Threshold to start from, as `calibrate` solves it.
        eta: How far one decision moves the threshold. 0.02 by default, for scores that deviate by about 0.1:
            it holds a shift from MMLU to GSM8K within a point over 660 questions, where 0.01 is 1.4 off.

    Raises:
        ConfigurationError: The share is not in [0, 1].
    """

    name = "target_share"

    def __init__(self, share: float, *, at: float = 0.0, eta: float = 0.02) -> None:
        if not 0 <= share <= 1:
            raise ConfigurationError(f"share must be in [0, 1], not {share!r}")
        self.share = share
        self.controller = Controller(at, eta)

    def choose(
        self,
        assessment: Assessment,  # noqa: ARG002 - the protocol's signature
        candidates: Sequence[Candidate],
        request: RouteRequest,  # noqa: ARG002 - likewise
        state: PolicyState,
    ) -> tuple[int, tuple[str, ...]]:
        """Choose by the score and the present threshold; without a score the safe tier."""
        if state.score is None:
            return fall_back(candidates, state, "the classifier gave no score")
        return _two_sided(candidates, state.score, self.controller.level)

    def resume(self, level: float) -> None:
        """Go on from a threshold where it stood before."""
        self.controller.resume(level)

    def observe(self, index: int, candidates: Sequence[Candidate], state: PolicyState) -> None:
        """Raise the threshold after a call sent up, lower it after one that was not."""
        if state.score is not None and len(candidates) > 1:
            self.controller.move((index == len(candidates) - 1) - self.share)


class CheapestGoodEnough:
    """Take the cheapest tier whose chance of a good answer reaches a floor.

    Args:
        floor: Least chance, in [0, 1].

    Raises:
        ConfigurationError: The floor is not in [0, 1].
    """

    name = "cheapest_good_enough"

    def __init__(self, floor: float) -> None:
        if not 0 <= floor <= 1:
            raise ConfigurationError(f"floor must be in [0, 1], not {floor!r}")
        self.floor = floor

    def choose(
        self,
        assessment: Assessment,  # noqa: ARG002 - the protocol's signature
        candidates: Sequence[Candidate],
        request: RouteRequest,  # noqa: ARG002 - likewise
        state: PolicyState,
    ) -> tuple[int, tuple[str, ...]]:
        """Choose by chance and cost; where no tier reaches the floor, the one with the best chance."""
        able = [
            index
            for index, candidate in enumerate(candidates)
            if candidate.probability is not None and candidate.probability >= self.floor
        ]
        if able:
            index = cheapest(candidates, able)
            return index, (f"cheapest with a chance of at least {self.floor:.2f}",)
        found = best(candidates)
        if found is None:
            return fall_back(candidates, state, "nobody can say how good a tier is")
        return found, (f"no tier has a chance of {self.floor:.2f}; the best one",)


def cheapest(candidates: Sequence[Candidate], among: Sequence[int] | None = None) -> int:
    """Return the index of the cheapest candidate; tiers of unknown price come last, ties go to the weaker."""
    chosen = range(len(candidates)) if among is None else among
    return min(chosen, key=lambda item: (_cost(candidates[item]), item))


def best(candidates: Sequence[Candidate]) -> int | None:
    """Return the index with the best chance, ties to the cheaper one; None if no chance is known."""
    known = [index for index, candidate in enumerate(candidates) if candidate.probability is not None]
    if not known:
        return None
    return max(known, key=lambda item: (candidates[item].probability or 0.0, -_cost(candidates[item]), -item))


def fall_back(candidates: Sequence[Candidate], state: PolicyState, why: str) -> tuple[int, tuple[str, ...]]:
    """Choose the safe tier, or the strongest where that one cannot serve."""
    index = state.safe if state.safe is not None else len(candidates) - 1
    return index, (f"{why}; safe choice",)


def _cost(candidate: Candidate) -> float:
    return _UNKNOWN_COST if candidate.cost_usd is None else float(candidate.cost_usd)


def _two_sided(candidates: Sequence[Candidate], score: float, at: float) -> tuple[int, tuple[str, ...]]:
    if score >= at:
        return len(candidates) - 1, (f"gain {score:+.3f} reaches {at:+.3f}",)
    return 0, (f"gain {score:+.3f} is below {at:+.3f}",)
