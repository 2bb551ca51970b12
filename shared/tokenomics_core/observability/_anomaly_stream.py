"""The calls of one feature, user or model as a stream whose level and rate are watched."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

from tokenomics_core.observability._anomaly_chart import ShiftChart, clock_bin_of
from tokenomics_core.observability._anomaly_rules import WatchRules
from tokenomics_core.observability._anomaly_sums import CallSums
from tokenomics_core.types import SpendRecord

__all__ = ["LevelWatch", "RateWatch", "Turn", "clock_bin_at"]

Turn = Literal["opened", "closed", "accepted"]
"""An episode begins, ends as things are as before, or ends as they have become usual."""

_FADE_AT = 8_192
_LONGEST_GAP_S = 7 * 86_400


class _Compared:
    """What calls consumed while all was as usual, and since it may be otherwise."""

    __slots__ = ("now", "since", "usual")

    def __init__(self) -> None:
        self.usual, self.now = CallSums(), CallSums()
        self.since: datetime | None = None

    def add(self, record: SpendRecord, *, is_usual: bool) -> None:
        if is_usual:
            self.settle()
            self.usual.add(record)
            return
        if self.since is None:
            self.since = record.at
        self.now.add(record)

    def settle(self) -> None:
        """Count what was suspected as usual after all."""
        if self.since is not None:
            self.usual.merge(self.now)
            self.drop()
        if self.usual.calls > _FADE_AT:
            self.usual.halve()

    def drop(self) -> None:
        """Forget what was not usual."""
        self.now, self.since = CallSums(), None

    def accept(self) -> None:
        """Take what was not usual as the usual."""
        self.usual, self.now, self.since = self.now, CallSums(), None


class LevelWatch:
    """The cost per call of a stream."""

    __slots__ = ("_back", "_calls", "_off", "_rules", "chart", "is_open", "sums")

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self.chart = rules.level_chart()
        self.sums = _Compared()
        self.is_open = False
        self._back, self._calls = 0.0, 0
        self._off = 0.0

    def add(self, record: SpendRecord, log_cost: float, clock_bin: int) -> Turn | None:
        """Take in a paid call, and say whether an episode begins or ends with it."""
        allowance = math.log(self._rules.least_change) / 2
        off = log_cost - self.chart.usual(clock_bin)
        has_risen = self.chart.judge(log_cost, clock_bin, allowance, is_held=self.is_open)
        is_usual = not self.is_open and self.chart.since_zero == 0
        self._off = 0.0 if is_usual else self._off + off
        self.sums.add(record, is_usual=is_usual)
        if not self.is_open:
            if not has_risen:
                return None
            self.is_open, self._back, self._calls = True, 0.0, 0
            return "opened"
        self._calls += 1
        # The same test the other way: evidence that the level is back where it was.
        self._back = max(0.0, self._back + allowance - self.chart.residual(log_cost, clock_bin))
        if self._back > self.chart.limit / 2:
            return self._end("closed")
        return self._end("accepted") if self._calls >= self._rules.accept_after_calls else None

    @property
    def factor(self) -> float:
        """How many times as dear as usual calls are since they may be; a geometric mean by their hours."""
        return math.exp(self._off / max(1, self.sums.now.paid_calls))

    def note_hit(self, record: SpendRecord) -> None:
        """Count an answer from a cache; it has no cost that could be judged."""
        self.sums.add(record, is_usual=not self.is_open and self.chart.since_zero == 0)

    def _end(self, turn: Turn) -> Turn:
        self.is_open = False
        if turn == "closed":
            self.chart.restart()
            self.sums.drop()
        else:
            self.chart = self._rules.level_chart()
            self.sums.accept()
        return turn


class RateWatch:
    """The paid calls per time of a stream.

    Calls are counted in bins of some minutes. A bin is judged when it has ended, or before where its count is
    enough already, since it can only grow.
    """

    __slots__ = (
        "_back",
        "_bin",
        "_count",
        "_opened_s",
        "_rules",
        "chart",
        "expected",
        "is_open",
        "seen",
        "sums",
    )

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self.chart: ShiftChart = rules.rate_chart()
        self.sums = _Compared()
        self.is_open = False
        self.expected = 0.0
        self.seen = 0
        self._bin: int | None = None
        self._count = 0
        self._opened_s = self._back = 0.0

    def add(self, record: SpendRecord, at_s: float) -> Turn | None:
        """Count a paid call, and say whether an episode begins or ends with it."""
        turn = self.pass_time(at_s)
        self._count += 1
        place = self._place()
        if not self.is_open and turn is None:
            value = _evened(self._count)
            if self.chart.would_alarm(value, place, self._allowance(place)):
                turn = self._open(at_s)
        is_usual = not self.is_open and self.chart.since_zero == 0
        self.sums.add(record, is_usual=is_usual)
        self.seen = 0 if is_usual else self.seen + 1
        return turn

    def note_hit(self, record: SpendRecord) -> None:
        """Count an answer from a cache; it is not paid, and its part of the change is told."""
        self.sums.add(record, is_usual=not self.is_open and self.chart.since_zero == 0)

    def pass_time(self, at_s: float) -> Turn | None:
        """Judge the counts of all bins that have ended."""
        here = int(at_s // self._rules.rate_bin_s)
        if self._bin is None or here - self._bin > _LONGEST_GAP_S // self._rules.rate_bin_s:
            return self._begin(here)
        turn: Turn | None = None
        while self._bin < here:
            turn = self._end_bin() or turn
            self._bin += 1
            self._count = 0
        return turn

    def _begin(self, here: int) -> Turn | None:
        """Begin, or begin anew after a week without calls: nothing is known of what is usual now."""
        turn: Turn | None = "closed" if self.is_open else None
        if self._bin is not None:
            self.chart, self.is_open, self._count = self._rules.rate_chart(), False, 0
            self.sums.drop()
        self._bin = here
        return turn

    def _end_bin(self) -> Turn | None:
        place, end_s = self._place(), self._end_s()
        value, allowance = _evened(self._count), self._allowance(place)
        usual = self.chart.usual(place)
        has_risen = self.chart.judge(value, place, allowance, is_held=self.is_open)
        if self.is_open:
            self.expected += _count_of(usual)
            self._back = max(0.0, self._back + allowance - self.chart.residual(value, place))
            if self._back > self.chart.limit / 2:
                return self._close("closed")
            return self._close("accepted") if end_s - self._opened_s >= self._rules.accept_after_s else None
        self.expected = self.expected + _count_of(usual) if self.chart.since_zero else 0.0
        return self._open(end_s) if has_risen else None

    def _open(self, at_s: float) -> Turn:
        self.is_open, self._opened_s, self._back = True, at_s, 0.0
        return "opened"

    def _close(self, turn: Turn) -> Turn:
        self.is_open, self.expected = False, 0.0
        if turn == "closed":
            self.chart.restart()
            self.sums.drop()
        else:
            self.chart = self._rules.rate_chart()
            self.sums.accept()
        return turn

    def expected_until(self, at_s: float) -> float:
        """Return how many calls were to be expected since the first that was not usual."""
        assert self._bin is not None  # noqa: S101 - for the type checker: a call was counted
        passed = min(1.0, max(0.0, at_s / self._rules.rate_bin_s - self._bin))
        return self.expected + passed * _count_of(self.chart.usual(self._place()))

    def _allowance(self, place: int) -> float:
        """Return half of what the least change of interest adds to a count made even in variance."""
        usual = _count_of(self.chart.usual(place))
        return max(0.25, math.sqrt(usual) * (math.sqrt(self._rules.least_rate_change) - 1))

    def _place(self) -> int:
        return clock_bin_at((self._bin or 0) * self._rules.rate_bin_s)

    def _end_s(self) -> float:
        return float(((self._bin or 0) + 1) * self._rules.rate_bin_s)


def clock_bin_at(at_s: float) -> int:
    """Return the bin of an instant, in seconds since 1970, by the clock of UTC."""
    at = datetime.fromtimestamp(at_s, UTC)
    return clock_bin_of(at.weekday(), at.hour)


def _evened(count: int) -> float:
    """Return Anscombe's root of a count, whose variance is about 1 whatever the count's mean."""
    return 2 * math.sqrt(count + 0.375)


def _count_of(evened: float) -> float:
    return max(0.0, (evened / 2) ** 2 - 0.375)
