"""One setting at several values over one log: what each costs, what each risks, and which to take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._simulate import simulate_traffic
from tokenomics_core.traffic._simulate_plan import Plan
from tokenomics_core.traffic._simulate_result import Simulation

if TYPE_CHECKING:
    from tokenomics_core.rendering import Table

__all__ = ["Sweep", "SweepPoint", "sweep"]


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One value and what came of it."""

    value: str
    simulation: Simulation


@dataclass(frozen=True, slots=True, repr=False)
class Sweep:
    """What a setting costs and risks at each of its values.

    Attributes:
        setting: Which one, such as `cache.max_error`.
        points: Value by value, in the order in which they were given.
    """

    setting: str
    points: tuple[SweepPoint, ...]

    def cheapest(self, max_worse_share: float = 1.0) -> SweepPoint | None:
        """Return the cheapest value under which at most this share of the requests is served worse.

        Args:
            max_worse_share: See `Simulation.worse_share`; of two values that cost the same the one that risks
                less is taken.

        Returns:
            None where every value risks more.
        """
        able = [point for point in self.points if point.simulation.worse_share <= max_worse_share]
        return min(able, key=_cost_and_risk, default=None)

    @property
    def frontier(self) -> tuple[SweepPoint, ...]:
        """The values to choose among: of no other one can be said that it costs and risks less."""
        return tuple(
            point
            for point in self.points
            if not any(_is_better(other.simulation, point.simulation) for other in self.points)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return setting, values and simulations as plain JSON types."""
        return {
            "setting": self.setting,
            "points": [{"value": point.value, **point.simulation.to_dict()} for point in self.points],
            "frontier": [point.value for point in self.frontier],
        }

    def to_svg(self) -> str:
        """Draw cost against risk as one SVG that needs nothing else."""
        from tokenomics_core.traffic._sweep_chart import chart_of  # noqa: PLC0415 - only to show it

        return chart_of(self)

    def table(self) -> Table:
        """Return it as a table for a terminal or a page."""
        from tokenomics_core.traffic._sweep_table import table_of  # noqa: PLC0415 - only to show it

        return table_of(self)

    def __str__(self) -> str:
        from tokenomics_core.rendering import to_text  # noqa: PLC0415 - only to show it

        return to_text(self.table())

    def __repr__(self) -> str:
        return f"<Sweep of {self.setting} over {', '.join(point.value for point in self.points)}>"

    def to_html(self) -> str:
        """Draw it as a fragment of HTML that needs nothing else."""
        from tokenomics_core.rendering import to_html  # noqa: PLC0415 - only to show it

        return to_html(self.table()) + self.to_svg()

    def _repr_html_(self) -> str:
        return self.to_html()


def sweep(
    records: Iterable[TrafficRecord],
    setting: str,
    plans: Mapping[str, Callable[[], Plan]],
    *,
    answers: Iterable[TrafficRecord] = (),
    on_point: Callable[[SweepPoint], None] | None = None,
    seed: int = 0,
) -> Sweep:
    """Replay one log once for each value of a setting.

    errors = {value: settings.with_value("cache.max_error", value).plan for value in ("0.01", "0.05")}
    sweep(log, "cache.max_error", errors).cheapest(max_worse_share=0.02)

    Args:
        records: The log; it is held in memory.
        setting: What is varied, for the reader.
        plans: What makes the plan of each value.
        answers: As for `simulate_traffic`.
        on_point: Told of each value as soon as it is done.
        seed: Of the intervals' draws.

    Raises:
        ConfigurationError: There is no value.
    """
    if not plans:
        raise ConfigurationError(
            f"a sweep of {setting!r} needs values; none was given and nothing was replayed"
        )
    log = sorted(records, key=attrgetter("at"))
    others: Sequence[TrafficRecord] = list(answers)
    points = []
    for value, make in plans.items():
        simulation = simulate_traffic(log, make(), answers=others, keep_calls=False, seed=seed)
        points.append(SweepPoint(value, simulation))
        if on_point is not None:
            on_point(points[-1])
    return Sweep(setting, tuple(points))


def _cost_and_risk(point: SweepPoint) -> tuple[Any, float]:
    return point.simulation.usd, point.simulation.worse_share


def _is_better(one: Simulation, other: Simulation) -> bool:
    """Whether one costs and risks no more than another, and one of both less."""
    costs, risks = (one.usd, other.usd), (one.worse_share, other.worse_share)
    return costs[0] <= costs[1] and risks[0] <= risks[1] and (costs[0] < costs[1] or risks[0] < risks[1])
