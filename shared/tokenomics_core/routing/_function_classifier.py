"""Let a function of one's own assess requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._protocols import Assessment
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier
from tokenomics_core.steps import call, call_async

__all__ = ["FunctionClassifier"]


class FunctionClassifier:
    """Assess requests with a function, sync or async, of the request and the tiers (the weakest first).

    The function returns one of:

    - the name of the weakest tier that is good enough: it and all stronger ones get the chance 1, others 0;
    - chances by name of tier, each in [0, 1];
    - a number: the score, higher for what should go to a strong tier;
    - an `Assessment`.
    """

    def __init__(
        self, function: Callable[[RouteRequest, Sequence[Tier]], Any], *, name: str | None = None
    ) -> None:
        """Set the function; `name` is what records call it, the function's own name if None."""
        if not callable(function):
            raise ConfigurationError(f"function must be callable, not {function!r:.80}")
        self._function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request.

        Raises:
            ConfigurationError: The function returned none of the above.
        """
        return self._read(call(self._function, request, tiers), tiers)

    async def aassess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request without blocking the event loop: a sync function runs in a thread."""
        return self._read(await call_async(self._function, request, tiers), tiers)

    def _read(self, result: object, tiers: Sequence[Tier]) -> Assessment:
        if isinstance(result, Assessment):
            return result
        names = [tier.name for tier in tiers]
        if isinstance(result, str):
            if result not in names:
                raise ConfigurationError(f"{self.name} chose {result!r}, which is no tier of {names}")
            chances = {name: float(place >= names.index(result)) for place, name in enumerate(names)}
            return Assessment(name=self.name, probabilities=chances, score=_gain(chances, names))
        if isinstance(result, Mapping):
            chances = self._chances(result, names)
            return Assessment(name=self.name, probabilities=chances, score=_gain(chances, names))
        if (score := _number(result)) is not None:
            return Assessment(name=self.name, score=score)
        raise ConfigurationError(
            f"{self.name} must return a tier's name, chances by tier, a number or an Assessment, "
            f"not {result!r:.80}"
        )

    def _chances(self, result: Mapping[Any, Any], names: Sequence[str]) -> dict[str, float]:
        chances: dict[str, float] = {}
        for name, value in result.items():
            if name not in names:
                raise ConfigurationError(
                    f"{self.name} gave a chance to {name!r}, which is no tier of {names}"
                )
            chance = _number(value)
            if chance is None or not 0 <= chance <= 1:
                raise ConfigurationError(
                    f"{self.name} gave {name!r} the chance {value!r:.80}, not one in [0, 1]"
                )
            chances[str(name)] = chance
        return chances


def _gain(chances: Mapping[str, float], names: Sequence[str]) -> float | None:
    ends = (names[0], names[-1])
    return chances[ends[1]] - chances[ends[0]] if all(name in chances for name in ends) else None


def _number(value: Any) -> float | None:
    """Read a finite number, also of another library's type."""
    if isinstance(value, str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
