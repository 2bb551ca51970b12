"""Traffic of an application that does not exist, in which everything is known: what an audit must find."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.traffic._generate_call import Call, Mark
from tokenomics_core.traffic._generate_documents import Handbook
from tokenomics_core.traffic._generate_plan import GeneratedTruth, WastePlan
from tokenomics_core.traffic._generate_sessions import Session, Sessions
from tokenomics_core.traffic._generate_truth import TruthBook
from tokenomics_core.traffic._generate_wastes import Wastes
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Usage

__all__ = ["DEFAULT_START", "TrafficGenerator", "generate_traffic"]

DEFAULT_START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
_HOURS_S, _DAY_S = 3600.0, 86_400.0
# How busy each hour of a day is beside the others, and each day of a week.
_BY_HOUR = (
    *(0.15, 0.1, 0.1, 0.1, 0.15, 0.3, 0.6, 1.1, 1.8, 2.2, 2.3, 2.1),
    *(1.6, 1.9, 2.1, 2.0, 1.7, 1.4, 1.1, 0.9, 0.8, 0.6, 0.4, 0.25),
)
_BY_WEEKDAY = (1.15, 1.2, 1.2, 1.15, 1.1, 0.65, 0.55)
_NIGHT_AT_S = 2 * _HOURS_S + 600.0
_NIGHT_SPREAD_S = 240.0
_NIGHT_LEAST = 60
_NIGHTS_LEAST = 3
_LABELLED = 0.05  # of the calls, where nights are sent as batches
_FAILS = 0.012  # of single calls
_WEEK_WAIT_S = 6 * _DAY_S  # repeats count within seven days
_CACHE_LIVES_S = 300.0
_CACHED_FROM, _CACHED_STEP = 1024, 128  # OpenAI's guide on prompt caching: from 1,024 tokens, in steps of 128

# What people do, how often beside the other doings, and how many calls it takes on average.
_DOINGS = (
    ("support", 0.34, 2.26),
    ("search", 0.24, 1.6),
    ("run", 0.09, 5.0),
    ("code", 0.09, 2.17),
    ("analysis", 0.06, 1.0),
    ("drafting", 0.15, 1.0),
    ("briefing", 0.03, 4.0),
)
# For each waste, the calls of one doing that has it, and how many of these are wasted.
_WASTES = {
    "exact_repeats": (3.5, 2.5),
    "near_repeats": (3.0, 2.0),
    "unstable_prefix": (8.0, 7.9),
    "oversized_context": (1.0, 1.0),
    "dear_model": (1.0, 1.0),
    "runaway_runs": (14.5, 10.0),
    "retries": (2.25, 1.25),
    "unbounded_outputs": (1.0, 1.0),
}


def generate_traffic(
    n: int,
    *,
    seed: int,
    waste: WastePlan | None = None,
    start: datetime = DEFAULT_START,
    days: float = 14.0,
    users: int = 400,
    prices: PriceBook | None = None,
) -> TrafficGenerator:
    """Generate the calls of a shop's applications in time order, and know what they waste.

    The same arguments give the same calls. Memory stays small: calls are made as they are asked for, and only
    what will be repeated is kept.

    Args:
        n: How many calls.
        seed: Of everything drawn.
        waste: What shall be wasted; `WastePlan.all()` if left out.
        start: When the traffic begins, with a time zone.
        days: About how long it lasts.
        users: How many people use the applications.
        prices: Where costs come from; the shared price book if left out.

    Raises:
        ConfigurationError: A count is not positive, the time has no zone, or so few calls were asked for that
            nights cannot be planted; nothing was generated.
    """
    return TrafficGenerator(
        n,
        seed=seed,
        waste=WastePlan.all() if waste is None else waste,
        start=start,
        days=days,
        users=users,
        prices=prices,
    )


class TrafficGenerator:
    """Calls one after another; `truth` tells what was planted in those that came so far."""

    def __init__(
        self,
        n: int,
        *,
        seed: int,
        waste: WastePlan,
        start: datetime,
        days: float,
        users: int,
        prices: PriceBook | None,
    ) -> None:
        _check(n, start, days, users, waste)
        self._n, self._start, self._days, self._plan = n, start, days, waste
        self._prices = default_price_book() if prices is None else prices
        self._random = Random(f"traffic/{seed}")  # noqa: S311 - nothing here is secret
        self._book = TruthBook(self._prices)
        longest_s = min(_WEEK_WAIT_S, 0.4 * days * _DAY_S)
        self._sessions = Sessions(start, _numbers(self._random), users, Handbook(self._random))
        self._wastes = Wastes(self._sessions, longest_s)
        self._makers, self._weights, self._per_day = self._mix()
        self._waiting: list[tuple[float, int, Session, Call]] = []
        self._begun = 0
        self._cached_at: dict[str, float] = {}
        self._records = self._generate()

    @property
    def truth(self) -> GeneratedTruth:
        """What is known of the calls that came so far."""
        return self._book.truth()

    def __iter__(self) -> Iterator[TrafficRecord]:
        return self

    def __next__(self) -> TrafficRecord:
        return next(self._records)

    def _mix(self) -> tuple[list[Callable[[Random], Session]], list[float], float]:
        """Return what can be begun, how often beside the rest, and how many a day begin."""
        shares = self._plan.shares()
        planted = {kind: shares[kind] / wasted for kind, (_, wasted) in _WASTES.items()}
        left = 1.0 - sum(planted[kind] * calls for kind, (calls, _) in _WASTES.items())
        left -= shares["batchable"] or _LABELLED
        doing_calls = sum(weight * calls for _, weight, calls in _DOINGS)
        clean = {name: left * weight / doing_calls for name, weight, _ in _DOINGS}
        makers = [getattr(self._sessions, name) for name in clean]
        makers += [getattr(self._wastes, kind) for kind in planted]
        weights = [*clean.values(), *planted.values()]
        return makers, weights, self._n * sum(weights) / self._days

    def _generate(self) -> Iterator[TrafficRecord]:
        if not self._n:
            return
        for at_s, session in (*self._nights(), *self._one_of_each()):
            self._begin(at_s, session)
        arrivals = self._arrivals()
        next_at = next(arrivals)
        for number in range(self._n):
            while not self._waiting or next_at <= self._waiting[0][0]:
                self._begin(next_at, self._random.choices(self._makers, self._weights)[0](self._own()))
                next_at = next(arrivals)
            at_s, order, session, call = heapq.heappop(self._waiting)
            yield self._send(call, at_s, number)
            self._sessions.now_s = at_s
            following = next(session, None)
            if following is not None and not _was_refused(call):
                heapq.heappush(self._waiting, (at_s + following[0], order, session, following[1]))

    def _begin(self, at_s: float, session: Session) -> None:
        self._sessions.now_s = at_s
        wait_s, call = next(session)
        self._begun += 1
        heapq.heappush(self._waiting, (at_s + wait_s, self._begun, session, call))

    def _own(self) -> Random:
        """Make a source of chance for one doing, so that doings do not disturb each other."""
        return Random(self._random.getrandbits(64))  # noqa: S311 - nothing here is secret

    def _arrivals(self) -> Iterator[float]:
        """Draw when doings begin: independent of each other, as many as the hour is busy."""
        per_hour = self._per_day / 24
        hour, used = 0, 0.0
        while True:
            gap = self._random.expovariate(per_hour)
            while (left := _busy(self._start, hour) - used) < gap:
                gap -= left
                hour, used = hour + 1, 0.0
            used += gap
            yield (hour + used / _busy(self._start, hour)) * _HOURS_S

    def _nights(self) -> Iterator[tuple[float, Session]]:
        """Place the nightly job: as plain calls where that is planted, else as a batch."""
        share = self._plan.batchable
        calls = self._n * (share or _LABELLED)
        nights = max(1, math.floor(self._days))
        if share:
            nights = max(_NIGHTS_LEAST, min(nights, int(calls / _NIGHT_LEAST)))
        per_night = max(_NIGHT_LEAST if share else 1, round(calls / nights))
        for number in range(nights):
            day = math.floor(number * self._days / nights)
            at_s = day * _DAY_S + _NIGHT_AT_S + self._random.uniform(0, _NIGHT_SPREAD_S)
            at_s += (_midnight(self._start) - self._start).total_seconds() % _DAY_S
            session = self._sessions.night(self._own(), per_night, batch=not share)
            yield at_s, _marked(session) if share else session

    def _one_of_each(self) -> Iterator[tuple[float, Session]]:
        """Place one of each planted waste, so that none is left out by chance where calls are few."""
        shares = self._plan.shares()
        for kind in _WASTES:
            if shares[kind]:
                at_s = self._random.uniform(0.05, 0.5) * self._days * _DAY_S
                yield at_s, getattr(self._wastes, kind)(self._own())

    def _send(self, call: Call, at_s: float, number: int) -> TrafficRecord:
        if call.fails and self._random.random() < _FAILS:
            _fail(call)
        at = self._start + timedelta(seconds=round(at_s, 3))
        usage = self._usage(call, at_s)
        cost = self._prices.cost(usage, call.feature.model, call.feature.provider, at).total_usd
        record = TrafficRecord(
            at=at,
            model=call.feature.model,
            usage=usage,
            messages=call.messages,
            answer=call.answer,
            tool_calls=call.tool_calls,
            tools=call.feature.tools,
            settings=call.feature.settings,
            cost_usd=cost,
            provider=call.feature.provider,
            attribution=call.who,
            source="batch" if call.batch else "model",
            outcome=call.outcome,
            finish_reason=call.finish,
            error=call.error,
            latency_s=round(0.3 + 0.012 * call.output_tokens * self._random.uniform(0.7, 1.4), 3),
            id=f"call-{number:08d}-{self._random.getrandbits(32):08x}",
            where=f"generated:{number + 1}",
        )
        call.record = record
        self._book.note(call, record)
        return record

    def _usage(self, call: Call, at_s: float) -> Usage:
        if _was_refused(call):
            return Usage()  # nothing was counted and nothing is paid
        usage = Usage(input_tokens=call.input_tokens, output_tokens=call.output_tokens, batch=call.batch)
        if not call.feature.cached:
            return usage
        prefix = call.feature.prefix_tokens
        before = self._cached_at.get(call.feature.name)
        self._cached_at[call.feature.name] = at_s
        warm = before is not None and at_s - before <= _CACHE_LIVES_S
        if call.feature.provider == "anthropic":
            if warm:
                return replace(usage, cache_read_tokens=prefix)
            return replace(usage, cache_write_5m_tokens=prefix)
        return replace(usage, cache_read_tokens=_steps(max(prefix if warm else 0, call.known_tokens)))


def _check(n: int, start: datetime, days: float, users: int, waste: WastePlan) -> None:
    if n < 0 or users < 1 or not 1 <= days <= 3660:
        raise ConfigurationError(
            f"n must be 0 or more, users 1 or more and days from 1 to 3660, not {n}, {users} and {days}; "
            "nothing was generated"
        )
    if start.tzinfo is None:
        raise ConfigurationError(f"start needs a time zone, not {start!r}; nothing was generated")
    least = 2 * _NIGHTS_LEAST * _NIGHT_LEAST
    if waste.batchable and (n < least or days < _NIGHTS_LEAST):
        raise ConfigurationError(
            f"nights of {_NIGHT_LEAST} calls need {least} calls and {_NIGHTS_LEAST} days or more, "
            f"not {n} and {days:g}; nothing was generated"
        )


def _numbers(random: Random) -> Callable[[], int]:
    """Give numbers of eight digits, each once, in an order that looks like none."""
    size, step, last = 89_999_999, 48_271_009, random.randrange(89_999_999)

    def number() -> int:
        nonlocal last
        last = (last + step) % size
        return 10_000_000 + last

    return number


def _busy(start: datetime, hour: int) -> float:
    when = start + timedelta(hours=hour)
    return _BY_HOUR[when.hour] * _BY_WEEKDAY[when.weekday()]


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _marked(session: Session) -> Session:
    for wait_s, call in session:
        call.marks = (Mark("batchable"),)
        yield wait_s, call


def _fail(call: Call) -> None:
    call.outcome, call.finish, call.answer, call.output_tokens = "error", None, None, 0
    call.error = "429: too many requests"


def _was_refused(call: Call) -> bool:
    return call.outcome == "error" and call.answer is None


def _steps(tokens: int) -> int:
    return tokens // _CACHED_STEP * _CACHED_STEP if tokens >= _CACHED_FROM else 0
