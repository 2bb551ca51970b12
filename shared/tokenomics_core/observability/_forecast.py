"""What this month will have cost at its end, with an interval that says how sure that is."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import BaseLedger, start_of_day, zone_named
from tokenomics_core.observability._alerts import ALERT_SHARES
from tokenomics_core.observability._forecast_days import UNSEEN_WEEKEND, Day, DayModel, sum_paths

__all__ = ["BudgetOutlook", "Forecast", "forecast_days", "forecast_month"]

_HISTORY_DAYS: Final = 70
_LEAST_DAYS = 3
_PATHS = 2_000
_TRIAL_PATHS = 200
_TRIALS_FROM = 8
_MOST_TRIALS = 24
_WIDEST = 3.0
_TRIAL_DAYS = 21  # days that a past span is forecast from, at least
_CENT = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOutlook:
    """When a share of a budget is reached.

    Attributes:
        share: Of the budget.
        usd: The amount.
        reached_on: The day on which it was reached; None where it is not.
        expected_on: The day on which it will be, if all goes as expected; None where that is after the end.
        chance: How likely it is to be reached by the end, in [0, 1]; None where no interval can be given.
    """

    share: float
    usd: Decimal
    reached_on: date | None
    expected_on: date | None
    chance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a span of days will have cost at its end.

    Attributes:
        first: Its first day.
        last: Its last day.
        at: When this was said.
        spent_usd: What is spent already.
        expected_usd: What will be; None where there is nothing to tell it from.
        low_usd: The interval's lower end; None where it cannot be told.
        high_usd: Its upper end, likewise.
        confidence: The chance that the interval holds the truth, in (0, 1).
        days_known: Complete days that this was learned from.
        notes: What is not known, in words.
        by_day: What each day has cost or is expected to cost, in USD.
        sums: Totals as they may turn out, in rising order.
    """

    first: date
    last: date
    at: datetime
    spent_usd: Decimal
    expected_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    confidence: float
    days_known: int
    notes: tuple[str, ...] = ()
    by_day: Mapping[date, Decimal] = field(default_factory=dict, hash=False)
    sums: tuple[float, ...] = field(default=(), repr=False)

    def chance_above(self, usd: Decimal) -> float | None:
        """Return how likely the total is to reach an amount, in [0, 1]; None where it cannot be told."""
        if usd <= self.spent_usd:
            return 1.0
        if not self.sums:
            return None
        return 1 - bisect_right(self.sums, float(usd)) / len(self.sums)

    def outlook(
        self, budget_usd: Decimal | str, shares: Sequence[float] = ALERT_SHARES
    ) -> tuple[BudgetOutlook, ...]:
        """Return for shares of a budget when they are reached.

        Raises:
            ConfigurationError: The budget is no amount above 0.
        """
        budget = Decimal(budget_usd)
        if not budget.is_finite() or budget <= 0:
            raise ConfigurationError(f"a budget must be an amount above 0, not {budget_usd!r}")
        return tuple(self._outlook(share, Decimal(str(share)) * budget) for share in shares)

    def _outlook(self, share: float, usd: Decimal) -> BudgetOutlook:
        total, reached = Decimal(0), None
        for day in sorted(self.by_day):
            total += self.by_day[day]
            if total >= usd:
                reached = day
                break
        is_past = self.spent_usd >= usd
        return BudgetOutlook(
            share=share,
            usd=usd,
            reached_on=reached if is_past else None,
            expected_on=None if is_past else reached,
            chance=self.chance_above(usd),
        )

    def __str__(self) -> str:
        span = f"{self.first} to {self.last}"
        if self.expected_usd is None:
            return f"{span}: ${self.spent_usd:.2f} spent; what is to come cannot be told"
        words = f"{span}: ${self.spent_usd:.2f} spent, ${self.expected_usd:.2f} expected"
        if self.low_usd is None or self.high_usd is None:
            return f"{words}; how sure that is cannot be told"
        return f"{words}, ${self.low_usd:.2f} to ${self.high_usd:.2f} with {self.confidence:.0%} confidence"

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as plain JSON types, amounts as text."""
        amounts = ("spent_usd", "expected_usd", "low_usd", "high_usd")
        return {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "at": self.at.isoformat(),
            **{name: None if (usd := getattr(self, name)) is None else format(usd, "f") for name in amounts},
            "confidence": self.confidence,
            "days_known": self.days_known,
            "notes": list(self.notes),
            "by_day": {day.isoformat(): format(usd, "f") for day, usd in sorted(self.by_day.items())},
        }


def forecast_month(
    ledger: BaseLedger,
    *,
    now: datetime | None = None,
    timezone: str = "UTC",
    confidence: float = 0.9,
    seed: int = 0,
    **where: str | None,
) -> Forecast:
    """Say what this month will have cost at its end.

    Learned from the last 70 days; of today, the part to come is what came after this hour on other days.

    Args:
        ledger: What was spent.
        now: The time; the clock's if None.
        timezone: IANA name of the zone whose days and months are meant.
        confidence: The chance that the interval is to hold the truth.
        seed: Of the draws that the interval is made of.
        where: Values that dimensions or tags must have.

    Raises:
        ConfigurationError: A setting cannot be; nothing was forecast.
    """
    at = datetime.now(UTC) if now is None else now
    if at.tzinfo is None:
        raise ConfigurationError(f"now needs a time zone, not {now!r}; nothing was forecast")
    local = at.astimezone(zone_named(timezone))
    today = local.date()
    first = today.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    since = start_of_day(min(first, today - timedelta(days=_HISTORY_DAYS)), timezone)
    span: dict[str, Any] = {"since": since, "until": at, **where}
    hours = ledger.totals_by(bucket="hour", timezone=timezone, **span)
    days: dict[date, Decimal] = {}
    later: dict[date, Decimal] = {}
    for start, totals in hours.items():
        days[start.date()] = days.get(start.date(), Decimal(0)) + totals.cost_usd
        if start.time() >= time(local.hour) and start.date() < today:
            later[start.date()] = later.get(start.date(), Decimal(0)) + totals.cost_usd
    before = sum((usd for day, usd in days.items() if day < today), Decimal(0))
    hours_left = 24 - local.hour
    share = float(sum(later.values(), Decimal(0)) / before) if before > 0 else hours_left / 24
    left = share * (1 - local.minute / 60 / hours_left)  # of the hour that has begun, a part is over
    return forecast_days(
        days, first=first, last=last, at=at, today=today, left_of_today=left, confidence=confidence, seed=seed
    )


def forecast_days(
    days: Mapping[date, Decimal],
    *,
    first: date,
    last: date,
    at: datetime,
    today: date,
    left_of_today: float = 1.0,
    confidence: float = 0.9,
    seed: int = 0,
) -> Forecast:
    """Say what a span of days will have cost at its end, from what days have cost so far.

    The interval comes from drawing the days to come many times; where the past is long enough, the same is
    done for spans of the past whose cost is known, and the interval made as wide as those needed (Vovk,
    Gammerman and Shafer, "Algorithmic learning in a random world", 2005: a split conformal interval, which
    holds as far as the past is like the future). It is never made narrower by that.

    Args:
        days: Cost by day; days between the first and today that are missing cost nothing.
        first: First day of the span.
        last: Its last day.
        at: When this is said.
        today: The day that is not complete.
        left_of_today: Share of a day's cost that is yet to come today, in [0, 1].
        confidence: The chance that the interval is to hold the truth.
        seed: Of the draws.

    Raises:
        ConfigurationError: The span or the confidence cannot be; nothing was forecast.
    """
    if not first <= today <= last:
        raise ConfigurationError(f"today, {today}, must lie in {first} to {last}; nothing was forecast")
    if not 0 < confidence < 1:
        raise ConfigurationError(
            f"confidence must be between 0 and 1, not {confidence!r}; nothing was forecast"
        )
    spent = sum((usd for day, usd in days.items() if first <= day <= today), Decimal(0))
    by_day = {day: usd for day, usd in days.items() if first <= day <= today}
    ahead = [Day(today, left_of_today), *_days_after(today, last)]
    history = _complete(days, today)
    said: dict[str, Any] = {
        "first": first,
        "last": last,
        "at": at,
        "spent_usd": spent,
        "confidence": confidence,
    }
    said["days_known"] = len(history)
    if not history:
        note = "no complete day is known: nothing can be said of the days to come"
        return Forecast(**said, expected_usd=None, low_usd=None, high_usd=None, notes=(note,), by_day=by_day)
    model = DayModel.of(history)
    for one in ahead:
        more = _usd(model.expected([one]))
        by_day[one.day] = by_day.get(one.day, Decimal(0)) + more
    expected = sum(by_day.values(), Decimal(0))
    notes = list(_unknowns(model))
    if len(history) < _LEAST_DAYS:
        return Forecast(
            **said, expected_usd=expected, low_usd=None, high_usd=None, notes=tuple(notes), by_day=by_day
        )
    rng = random.Random(seed)  # noqa: S311 - draws that can be repeated, no secrets
    sums = sum_paths(model, ahead, rng, _PATHS)
    widening, trials = _widening(history, len(ahead), confidence, rng)
    if trials:
        notes.append(f"the interval is {widening:.2f} times as wide as drawn, as {trials} past spans needed")
    sums = _widened(sums, widening)
    low, high = _interval(sums, confidence)
    spent_by_now = float(spent)
    return Forecast(
        **said,
        expected_usd=expected,
        low_usd=spent + min(_usd(low), expected - spent),
        high_usd=spent + max(_usd(high), expected - spent),
        notes=tuple(notes),
        by_day=by_day,
        sums=tuple(spent_by_now + one for one in sums),
    )


def _days_after(day: date, last: date) -> list[Day]:
    return [Day(day + timedelta(days=number), 1.0) for number in range(1, (last - day).days + 1)]


def _complete(days: Mapping[date, Decimal], today: date) -> list[Day]:
    """Return the days before today that follow the first one with any cost."""
    known = [day for day, usd in days.items() if usd > 0 and day < today]
    if not known:
        return []
    start = max(min(known), today - timedelta(days=_HISTORY_DAYS))
    return [
        Day(day, float(days.get(day, 0)))
        for day in (start + timedelta(days=number) for number in range((today - start).days))
    ]


def _unknowns(model: DayModel) -> list[str]:
    notes = []
    if model.days < _LEAST_DAYS:
        notes.append(f"only {model.days} complete day(s) known: no interval can be given")
    elif not model.knows_weekdays:
        notes.append(f"only {model.days} complete days known: weekdays cannot be told apart")
    if model.unseen_weekend:
        low, high = UNSEEN_WEEKEND
        notes.append(f"no such day of a weekend is known: taken to cost {low:g} to {high:g} working days")
    if model.days >= _LEAST_DAYS and not model.knows_drift:
        notes.append("growth and decline cannot be told from chance yet; the level may wander by 3% a day")
    return notes


def _widening(
    history: Sequence[Day], horizon: int, confidence: float, rng: random.Random
) -> tuple[float, int]:
    """Return by how much intervals for past spans would have had to be wider, and how many spans that was."""
    origins = list(range(max(_TRIAL_DAYS, len(history) // 3), len(history) - horizon + 1))
    if len(origins) < _TRIALS_FROM:
        return 1.0, 0
    step = -(-len(origins) // _MOST_TRIALS)
    needed = []
    for origin in origins[::step]:
        past, future = history[:origin], history[origin : origin + horizon]
        if not any(one.amount for one in past):
            continue
        sums = sum_paths(DayModel.of(past), [Day(one.day, 1.0) for one in future], rng, _TRIAL_PATHS)
        needed.append(_needed(sums, sum(one.amount for one in future), confidence))
    if not needed:
        return 1.0, 0
    needed.sort()
    rank = min(len(needed) - 1, int((len(needed) + 1) * confidence))
    return min(_WIDEST, max(1.0, needed[rank])), len(needed)


def _needed(sums: Sequence[float], truth: float, confidence: float) -> float:
    low, high = _interval(sums, confidence)
    middle = sums[len(sums) // 2]
    if truth >= middle:
        return (truth - middle) / (high - middle) if high > middle else _WIDEST
    return (middle - truth) / (middle - low) if middle > low else _WIDEST


def _widened(sums: Sequence[float], by: float) -> list[float]:
    middle = sums[len(sums) // 2]
    return [max(0.0, middle + by * (one - middle)) for one in sums]


def _interval(sums: Sequence[float], confidence: float) -> tuple[float, float]:
    cut = int((1 - confidence) / 2 * len(sums))
    return sums[cut], sums[len(sums) - 1 - cut]


def _usd(amount: float) -> Decimal:
    return Decimal(amount).quantize(_CENT)
