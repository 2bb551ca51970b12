"""Replay a log through the objects that production uses, and say what it would have saved and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._replay_answers import LoggedAnswers, ModelNames
from tokenomics_core.traffic._replay_call import ReplayedCall
from tokenomics_core.traffic._replay_calls import Replayer
from tokenomics_core.traffic._simulate_plan import Plan
from tokenomics_core.traffic._simulate_result import Simulation
from tokenomics_core.traffic._simulate_tally import Tally

__all__ = ["simulate_traffic"]


def simulate_traffic(
    records: Iterable[TrafficRecord],
    plan: Plan,
    *,
    answers: Iterable[TrafficRecord] = (),
    is_sorted: bool = False,
    keep_calls: bool = True,
    on_call: Callable[[ReplayedCall], None] | None = None,
    seed: int = 0,
) -> Simulation:
    """Replay a log in time order, one call at a time, and compare what each would have cost with what it did.

    A call goes through the objects of the plan in the order in which the adapters ask them: its context is
    cut, a tier is chosen, the cache is asked, the worst case reserved, the model called, the cost settled and
    the answer kept. What the model says is the log's own answer; where a call would have gone elsewhere, the
    answer that the log or `answers` holds to that very request from that model; where there is none, an
    estimate that is counted as one. The same log and plan give the same result.

    Args:
        records: The log.
        plan: What it is replayed through; a fresh one, since it learns and fills up.
        answers: Further logged calls that are not replayed, such as the same requests sent to another model.
        is_sorted: Whether the log is in time order; then it is read once and not held in memory, and answers
            for calls that go elsewhere come from `answers` alone.
        keep_calls: Whether the result has every call in it.
        on_call: Told of each call.
        seed: Of the interval's draws.

    Raises:
        ConfigurationError: The plan was used before.
    """
    if plan.clock() > 0:
        raise ConfigurationError("a plan is used for one replay, and this one was used; nothing was replayed")
    log = records if is_sorted else sorted(records, key=attrgetter("at"))
    names = ModelNames(plan.prices)
    known = LoggedAnswers(names)
    if plan.router is not None or plan.compression is not None:
        known.add(answers)
        if isinstance(log, list):
            known.add(log)
    replayer, tally = Replayer(plan, known, names), Tally()
    calls: list[ReplayedCall] = []
    for record in log:
        call = replayer.replay(record)
        tally.add(call)
        if keep_calls:
            calls.append(call)
        if on_call is not None:
            on_call(call)
    return tally.result(plan, seed=seed, calls=calls)
