"""Hear within calls, not at the end of the month, that something costs more than it usually does."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.observability._anomaly import Anomaly, AnomalyKind, Ended
from tokenomics_core.observability._anomaly_drivers import CostChange, explain_change
from tokenomics_core.observability._anomaly_rules import WatchRules
from tokenomics_core.observability._anomaly_runs import RunWatch
from tokenomics_core.observability._anomaly_stream import LevelWatch, RateWatch, Turn, clock_bin_at
from tokenomics_core.observability._anomaly_sums import CORRECTION, CallSums
from tokenomics_core.observability._anomaly_tail import TailWatch
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import SpendRecord, dimension_reader

__all__ = ["AnomalyWatch"]

_log = logging.getLogger("tokenomics")
_PICO = Decimal("1e-12")
_ZERO = Decimal(0)
_FEATURE = "feature"
Tell = Callable[[Anomaly], object]


class AnomalyWatch:
    """Watches calls as they are recorded, and tells once per episode what is no longer as usual.

    watch = AnomalyWatch(alerts=[LogAlerts(), WebhookAlerts(url)])
    report.subscribe(watch.add)        # or watched(ledger, watch), or for record in ledger.records(): ...

    For every feature, user and model the level of the cost per call and the rate of calls are watched, each
    with a stated mean distance of false alarms that allows for autocorrelation, heavy tails and the rhythm of
    days and weeks; and every single call and run is held against those of its feature. Only rises are told.
    Calls are to be added about in the order of time; any number of threads may add them.

    Args:
        alerts: Called with every episode that is not part of a wider one, outside all locks; what they raise
            is logged and counted in `failed_alerts`.
        dimensions: Dimensions or tags to watch, the widest first.
        rules: What is told, and how often by mistake.
        prices: List prices, by which a change is divided into its drivers; the shared price book if None.
        tell_ends: Whether alerts hear of an episode's end too.
        most_streams: Values of all dimensions together, runs, and features whose runs are known; those heard
            of longest ago are forgotten first.

    Raises:
        ConfigurationError: A setting cannot be.
    """

    def __init__(
        self,
        *,
        alerts: Iterable[Tell] = (),
        dimensions: Sequence[str] = ("feature", "user", "model"),
        rules: WatchRules | None = None,
        prices: Pricer | None = None,
        tell_ends: bool = False,
        most_streams: int = 2_000,
    ) -> None:
        self._alerts = tuple(alerts)
        if bad := [one for one in self._alerts if not callable(one)]:
            raise ConfigurationError(f"an alert must be a function, not {bad[0]!r:.80}; nothing is watched")
        if isinstance(dimensions, str) or not all(isinstance(one, str) and one for one in dimensions):
            raise ConfigurationError(f"dimensions must be names, not {dimensions!r}; nothing is watched")
        if type(most_streams) is not int or most_streams < 1:
            raise ConfigurationError(
                f"most_streams must be 1 or more, not {most_streams!r}; nothing is watched"
            )
        self.rules = rules or WatchRules()
        self._dimensions = tuple(dict.fromkeys(dimensions))
        self._readers = [dimension_reader(name) for name in self._dimensions]
        if prices is None:  # now, and not in the way of a call
            from tokenomics_core.pricing import default_price_book  # noqa: PLC0415 - loads the price table

            prices = default_price_book()
        self._prices, self._tell_ends, self._most = prices, tell_ends, most_streams
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        self._calls: OrderedDict[str, _Calls] = OrderedDict()
        self._runs = RunWatch(self.rules, most_streams)
        self._open: dict[tuple[AnomalyKind, str, str], Anomaly] = {}
        self._ended: deque[Anomaly] = deque(maxlen=1_000)
        self._lock = threading.Lock()
        self.failed_alerts = 0
        self.unjudged_calls = 0

    def add(self, record: SpendRecord) -> tuple[Anomaly, ...]:
        """Take in a record, tell what it shows, and return the episodes that begin with it.

        Raises:
            ConfigurationError: It is no record; nothing was added.
        """
        if not isinstance(record, SpendRecord):
            raise ConfigurationError(f"a watch takes a SpendRecord, not {record!r:.80}; nothing was added")
        if record.operation == CORRECTION:
            return ()
        with self._lock:
            begun, ended = self._judge(record)
        for anomaly in (*begun, *(ended if self._tell_ends else ())):
            if anomaly.part_of is None:
                self._tell(anomaly)
        return begun

    @property
    def open(self) -> list[Anomaly]:
        """The episodes that last, in the order in which they were noticed."""
        with self._lock:
            return sorted(self._open.values(), key=lambda one: one.at)

    @property
    def episodes(self) -> list[Anomaly]:
        """The latest 1,000 episodes that are over, and all that last, in the order of their time."""
        with self._lock:
            return sorted([*self._ended, *self._open.values()], key=lambda one: one.at)

    # -- judging

    def _judge(self, record: SpendRecord) -> tuple[tuple[Anomaly, ...], tuple[Anomaly, ...]]:
        at_s = record.at.timestamp()
        place = clock_bin_at(at_s)
        is_hit = record.source == "cache" and not record.cost_usd
        usd = record.cost_usd
        log_cost = math.log(usd) if usd is not None and usd > 0 else None
        if log_cost is None and not is_hit:
            self.unjudged_calls += 1
        begun: list[Anomaly] = []
        ended: list[Anomaly] = []
        if log_cost is not None:
            self._judge_call(record, log_cost, begun, ended)
            self._judge_run(record, at_s, begun, ended)
        for dimension, read in zip(self._dimensions, self._readers, strict=True):
            name = read(record) or ("" if dimension == _FEATURE else None)
            if name is None:
                continue
            stream = self._stream(dimension, name)
            if is_hit:
                stream.level.note_hit(record)
                stream.rate.note_hit(record)
                continue
            if log_cost is not None:
                turn = stream.level.add(record, log_cost, place)
                self._turn("level", dimension, name, turn, record, begun, ended)
            turn = stream.rate.add(record, at_s)
            self._turn("rate", dimension, name, turn, record, begun, ended)
        return tuple(begun), tuple(ended)

    def _judge_call(
        self, record: SpendRecord, log_cost: float, begun: list[Anomaly], ended: list[Anomaly]
    ) -> None:
        name = record.attribution.feature or ""
        calls = self._calls.get(name)
        if calls is None:
            calls = self._calls[name] = _Calls(self.rules)
            if len(self._calls) > self._most:
                self._forget("call", _FEATURE, self._calls.popitem(last=False)[0])
        self._calls.move_to_end(name)
        turn = calls.add(log_cost)
        if turn == "opened":
            change = self._explain(calls.usual, CallSums.of([record]), per_call=True)
            usual_usd = _amount(calls.tail.median)
            self._begin("call", _FEATURE, name, record, record.at, usual_usd, _paid(record), 1, change, begun)
        elif turn is not None:
            self._end("call", _FEATURE, name, turn, record.at, ended)
        calls.learn(record, log_cost)

    def _judge_run(
        self, record: SpendRecord, at_s: float, begun: list[Anomaly], ended: list[Anomaly]
    ) -> None:
        run_name = record.attribution.run
        if run_name is None:
            return
        found = self._runs.add(run_name, record.attribution.feature or "", float(_paid(record)), at_s)
        if found is None:
            return
        run, usual = found
        seen_usd, usual_usd = Decimal(run.usd).quantize(_PICO), _amount(usual.median)
        self._begin(
            "run", _FEATURE, run.feature, record, record.at, usual_usd, seen_usd, run.calls, None, begun
        )
        # A run is told once and then over; its name is in the attribution.
        self._end("run", _FEATURE, run.feature, "closed", record.at, ended)

    def _turn(
        self,
        kind: AnomalyKind,
        dimension: str,
        name: str,
        turn: Turn | None,
        record: SpendRecord,
        begun: list[Anomaly],
        ended: list[Anomaly],
    ) -> None:
        if turn is None:
            return
        if turn != "opened":
            self._end(kind, dimension, name, turn, record.at, ended)
            return
        stream = self._streams[dimension, name]
        if kind == "level":
            sums = stream.level.sums
            change = self._explain(sums.usual, sums.now, per_call=True)
            seen_usd, calls = _per_call(sums.now), sums.now.paid_calls
            # Against what is usual at these hours, which is less than over all where nights are cheap.
            usual_usd = (seen_usd / Decimal(stream.level.factor)).quantize(_PICO)
        else:
            sums = stream.rate.sums
            expected = stream.rate.expected_until(record.at.timestamp())
            paid = sums.usual.paid_calls
            share = (Decimal(expected) / paid).quantize(_PICO) if paid else Decimal(1)
            change = self._explain(sums.usual, sums.now, before_share=share)
            usual_usd = (sums.usual.cost_usd * share).quantize(_PICO)
            seen_usd, calls = sums.now.cost_usd, stream.rate.seen
        since = sums.since or record.at
        self._begin(kind, dimension, name, record, since, usual_usd, seen_usd, calls, change, begun)

    def _begin(
        self,
        kind: AnomalyKind,
        dimension: str,
        name: str,
        record: SpendRecord,
        since: datetime,
        usual_usd: Decimal,
        seen_usd: Decimal,
        calls: int,
        change: CostChange | None,
        begun: list[Anomaly],
    ) -> None:
        who = record.attribution.to_dict()
        anomaly = Anomaly(
            kind=kind,
            dimension=dimension,
            name=name,
            at=record.at.astimezone(UTC),
            since=since.astimezone(UTC),
            usual_usd=usual_usd,
            seen_usd=seen_usd,
            calls=calls,
            change=change,
            record_id=record.id,
            attribution=who,
            part_of=self._wider(kind, dimension, record),
            id=_id_of(kind, dimension, name, record),
        )
        self._open[kind, dimension, name] = anomaly
        begun.append(anomaly)

    def _wider(self, kind: AnomalyKind, dimension: str, record: SpendRecord) -> str | None:
        if kind not in ("level", "rate"):
            return None
        for wider, read in zip(self._dimensions, self._readers, strict=True):
            if wider == dimension:
                return None
            if (found := self._open.get((kind, wider, read(record) or ""))) is not None:
                return found.id
        return None

    def _end(
        self,
        kind: AnomalyKind,
        dimension: str,
        name: str,
        turn: Turn,
        at: datetime,
        ended: list[Anomaly],
    ) -> None:
        anomaly = self._open.pop((kind, dimension, name), None)
        if anomaly is None:
            return
        how: Ended = "accepted" if turn == "accepted" else "recovered"
        over = replace(anomaly, ended_at=at.astimezone(UTC), ended=how)
        self._ended.append(over)
        ended.append(over)

    def _explain(
        self, usual: CallSums, now: CallSums, *, per_call: bool = False, before_share: Decimal = Decimal(1)
    ) -> CostChange | None:
        if not usual.paid_calls or not now.paid_calls:
            return None
        return explain_change(usual, now, prices=self._prices, per_call=per_call, before_share=before_share)

    # -- keeping

    def _stream(self, dimension: str, name: str) -> _Stream:
        key = dimension, name
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(self.rules)
            if len(self._streams) > self._most:
                (old_dimension, old_name), _ = self._streams.popitem(last=False)
                for kind in ("level", "rate"):
                    self._forget(kind, old_dimension, old_name)
        self._streams.move_to_end(key)
        return stream

    def _forget(self, kind: AnomalyKind, dimension: str, name: str) -> None:
        anomaly = self._open.pop((kind, dimension, name), None)
        if anomaly is not None:
            self._ended.append(anomaly)

    def _tell(self, anomaly: Anomaly) -> None:
        for alert in self._alerts:
            try:
                alert(anomaly)
            except Exception:  # noqa: BLE001 - an observer may not break the call it watches
                with self._lock:
                    self.failed_alerts += 1
                    is_first = self.failed_alerts == 1
                if is_first:
                    _log.exception("an alert on spending failed; the call itself is not affected")


class _Stream:
    """One value of one dimension."""

    __slots__ = ("level", "rate")

    def __init__(self, rules: WatchRules) -> None:
        self.level, self.rate = LevelWatch(rules), RateWatch(rules)


class _Calls:
    """The single calls of a feature."""

    __slots__ = ("_quiet", "_quiet_after", "_stands_out", "is_open", "tail", "usual")

    def __init__(self, rules: WatchRules) -> None:
        self.tail = TailWatch(
            odds=rules.calls_between_false_alarms,
            least_factor=rules.least_factor,
            plain_factor=rules.plain_factor,
        )
        self.usual = CallSums()
        self.is_open = self._stands_out = False
        self._quiet, self._quiet_after = 0, rules.quiet_calls

    def add(self, log_cost: float) -> Turn | None:
        self._stands_out = self.tail.stands_out(log_cost)
        if self._stands_out:
            self._quiet = 0
            if self.is_open:
                return None
            self.is_open = True
            return "opened"
        self._quiet += 1
        if self.is_open and self._quiet >= self._quiet_after:
            self.is_open = False
            return "closed"
        return None

    def learn(self, record: SpendRecord, log_cost: float) -> None:
        self.tail.learn(log_cost)
        if not self._stands_out:
            self.usual.add(record)
            if self.usual.calls > _FADE_AT:
                self.usual.halve()


_FADE_AT = 8_192


def _paid(record: SpendRecord) -> Decimal:
    return record.cost_usd or _ZERO


def _amount(log_usd: float) -> Decimal:
    return _ZERO if math.isnan(log_usd) else Decimal(math.exp(log_usd)).quantize(_PICO)


def _per_call(sums: CallSums) -> Decimal:
    return (sums.cost_usd / sums.paid_calls).quantize(_PICO) if sums.paid_calls else _ZERO


def _id_of(kind: str, dimension: str, name: str, record: SpendRecord) -> str:
    words = f"{kind}\0{dimension}\0{name}\0{record.id}"
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
