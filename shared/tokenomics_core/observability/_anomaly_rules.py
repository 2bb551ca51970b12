"""What a watch over spending tells, and how often it may be wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.observability._anomaly_chart import ChartRules, ShiftChart

__all__ = ["WatchRules"]

_HOUR_S = 3_600
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """What is told, and how often by mistake.

    Attributes:
        least_change: The least factor by which a cost per call must have risen to be of interest.
        least_rate_change: The same for calls per hour.
        calls_between_false_alarms: Calls of one stream between false alarms on its level, on average; also
            the calls of a feature between single calls that stand out by chance.
        days_between_false_alarms: Days between false alarms on the rate of one stream, on average.
        warm_up_calls: Calls of a stream before its level is judged.
        warm_up_hours: Hours of a stream before its rate is judged.
        least_factor: Single calls up to this multiple of their feature's median never stand out.
        plain_factor: The multiple that counts for calls and runs while their tail is not known.
        rate_bin_s: Seconds in which calls are counted for the rate.
        quiet_calls: Ordinary calls in a row after which a series of dear ones is over.
        accept_after_calls: Calls at a new level after which it is the usual one.
        accept_after_s: Seconds at a new rate after which it is.
        run_idle_s: Seconds after its last call when a run is taken to be over.

    The defaults are those of `benchmarks/anomalies.py`, which measures what they detect and how soon.
    """

    least_change: float = 1.3
    least_rate_change: float = 1.5
    calls_between_false_alarms: float = 100_000
    days_between_false_alarms: float = 365
    warm_up_calls: int = 200
    warm_up_hours: int = 24
    least_factor: float = 3.0
    plain_factor: float = 10.0
    rate_bin_s: int = 900
    quiet_calls: int = 20
    accept_after_calls: int = 2_000
    accept_after_s: float = 3 * _DAY_S
    run_idle_s: float = 1_800

    def __post_init__(self) -> None:
        for name in ("least_change", "least_rate_change", "least_factor", "plain_factor"):
            if not _is_number(value := getattr(self, name)) or not 1 < value < math.inf:
                raise ConfigurationError(f"{name} must be a factor above 1, not {value!r}")
        for name in (
            "calls_between_false_alarms",
            "days_between_false_alarms",
            "accept_after_s",
            "run_idle_s",
        ):
            if not _is_number(value := getattr(self, name)) or not 0 < value < math.inf:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")
        for name, least in (
            ("warm_up_calls", 50),
            ("warm_up_hours", 4),
            ("rate_bin_s", 1),
            ("quiet_calls", 1),
            ("accept_after_calls", 1),
        ):
            if type(value := getattr(self, name)) is not int or value < least:
                raise ConfigurationError(f"{name} must be a whole number of {least} or more, not {value!r}")

    def level_chart(self) -> ShiftChart:
        """Return a chart for logarithms of costs."""
        return ShiftChart(
            ChartRules(
                run_length=self.calls_between_false_alarms,
                warm_up=self.warm_up_calls,
                memory=8_000,
                clip=3.0,
                least_scale=0.05,
                known_from=10,
            )
        )

    def rate_chart(self) -> ShiftChart:
        """Return a chart for counts of calls, made even in variance."""
        per_hour = _HOUR_S / self.rate_bin_s
        return ShiftChart(
            ChartRules(
                run_length=self.days_between_false_alarms * 24 * per_hour,
                warm_up=max(50, int(self.warm_up_hours * per_hour)),
                memory=int(21 * 24 * per_hour),
                clip=4.0,
                least_scale=1.0,  # the standard deviation of such a count where calls come independently
                known_from=int(2 * per_hour),
            )
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
