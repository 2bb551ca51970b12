"""What runs cost so far, beside what runs of their feature usually cost in the end."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from tokenomics_core.observability._anomaly_rules import WatchRules
from tokenomics_core.observability._anomaly_tail import TailWatch

__all__ = ["Run", "RunWatch"]


@dataclass(slots=True)
class Run:
    """One run so far."""

    feature: str
    usd: float = 0.0
    calls: int = 0
    last_s: float = 0.0
    is_told: bool = False


class RunWatch:
    """The runs that are under way, in a bounded space.

    Args:
        rules: What stands out.
        most: Runs known at a time, and features whose runs are; those heard of longest ago go first.
    """

    def __init__(self, rules: WatchRules, most: int) -> None:
        self._rules, self._most = rules, most
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._usual: OrderedDict[str, TailWatch] = OrderedDict()

    def add(self, name: str, feature: str, usd: float, at_s: float) -> tuple[Run, TailWatch] | None:
        """Take in a paid call; return its run where it has just come to stand out."""
        self._end_idle(at_s)
        run = self._runs.get(name)
        if run is None:
            run = self._runs[name] = Run(feature)
            if len(self._runs) > self._most:
                self._finish(self._runs.popitem(last=False)[1])
        self._runs.move_to_end(name)
        run.usd += usd
        run.calls += 1
        run.last_s = max(run.last_s, at_s)
        usual = self._usual_of(run.feature)
        if run.is_told or run.usd <= 0 or not usual.stands_out(math.log(run.usd)):
            return None
        run.is_told = True
        return run, usual

    def _end_idle(self, at_s: float) -> None:
        while self._runs:
            name, run = next(iter(self._runs.items()))
            if at_s - run.last_s <= self._rules.run_idle_s:
                return
            del self._runs[name]
            self._finish(run)

    def _finish(self, run: Run) -> None:
        if run.usd > 0:
            self._usual_of(run.feature).learn(math.log(run.usd))

    def _usual_of(self, feature: str) -> TailWatch:
        usual = self._usual.get(feature)
        if usual is None:
            usual = self._usual[feature] = TailWatch(
                odds=self._rules.calls_between_false_alarms,
                least_factor=self._rules.least_factor,
                plain_factor=self._rules.plain_factor,
            )
            if len(self._usual) > self._most:
                self._usual.popitem(last=False)
        self._usual.move_to_end(feature)
        return usual
