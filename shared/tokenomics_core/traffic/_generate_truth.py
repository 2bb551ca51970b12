"""Keep count of what generated calls cost and of what was wasted by them, while they are sent."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Context, Decimal
from functools import lru_cache

from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic._generate_call import Call, Mark
from tokenomics_core.traffic._generate_features import CHEAP_MODEL, DRAFTING
from tokenomics_core.traffic._generate_plan import GeneratedTruth, PlantedWaste, WastePlan
from tokenomics_core.traffic._record import TrafficRecord

__all__ = ["TruthBook"]

_EXACT = Context(prec=200)
_ZERO = Decimal(0)
_MILLION = Decimal(1_000_000)
_PREFIX_LIVES_S = 300.0
_NIGHT_CALLS, _NIGHTS = 50, 3


class TruthBook:
    """Adds up what was planted, by the definitions of the audit and without running it."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._calls, self._total = 0, _ZERO
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None
        self._usd: dict[str, Decimal] = defaultdict(Decimal)
        self._ids: dict[str, list[str]] = defaultdict(list)
        self._doubted_calls, self._doubted_usd = 0, _ZERO
        self._prefix_at: dict[str, datetime] = {}
        self._letters = array("q")
        self._long_letters: list[tuple[str, int, Decimal]] = []
        self._nights: dict[date, list[tuple[str, Decimal]]] = defaultdict(list)
        self._rate = lru_cache(maxsize=1024)(self._rate_anew)
        self._notes: dict[str, Callable[[Call, TrafficRecord, Mark], None]] = {
            "unstable_prefix": self._note_prefix,
            "oversized_context": self._note_context,
            "dear_model": self._note_dear,
            "near_repeats": self._note_near,
            "retries": self._note_retry,
            "unbounded_outputs": self._note_output,
            "batchable": self._note_night,
        }

    def note(self, call: Call, record: TrafficRecord) -> None:
        """Count a call that was sent."""
        self._calls += 1
        self._first_at = self._first_at or record.at
        self._last_at = record.at
        self._total = _EXACT.add(self._total, record.cost_usd or _ZERO)
        if call.feature is DRAFTING and record.outcome == "ok":
            self._letters.append(call.output_tokens)
        for mark in call.marks:
            self._notes.get(mark.kind, self._note_whole)(call, record, mark)

    def truth(self) -> GeneratedTruth:
        """Return what is known so far."""
        usd, ids = dict(self._usd), {kind: list(names) for kind, names in self._ids.items()}
        self._close_outputs(usd, ids)
        self._close_nights(usd, ids)
        wastes = {
            kind: PlantedWaste(
                kind=kind,
                calls=len(ids.get(kind, ())),
                usd=usd.get(kind, _ZERO),
                ids=tuple(ids.get(kind, ())),
            )
            for kind in WastePlan().shares()
        }
        wastes["near_repeats"] = replace(
            wastes["near_repeats"], doubted_calls=self._doubted_calls, doubted_usd=self._doubted_usd
        )
        return GeneratedTruth(
            calls=self._calls,
            total_usd=self._total,
            first_at=self._first_at,
            last_at=self._last_at,
            wastes=wastes,
        )

    def _add(self, kind: str, record: TrafficRecord, usd: Decimal) -> None:
        self._usd[kind] = _EXACT.add(self._usd[kind], usd)
        self._ids[kind].append(record.id)

    def _note_whole(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del call
        self._add(mark.kind, record, record.cost_usd or _ZERO)

    def _note_near(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        if not mark.is_doubted:
            self._note_whole(call, record, mark)
            return
        self._doubted_calls += 1
        self._doubted_usd = _EXACT.add(self._doubted_usd, record.cost_usd or _ZERO)

    def _note_retry(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del call, record
        if mark.earlier is not None and mark.earlier.record is not None:
            self._add(mark.kind, mark.earlier.record, mark.earlier.record.cost_usd or _ZERO)

    def _note_context(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del call
        self._add(mark.kind, record, mark.tokens * self._rate(record.model, record.provider, "input_tokens"))

    def _note_dear(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del call
        cheap = self._prices.cost(record.usage, CHEAP_MODEL, record.provider, record.at).total_usd
        self._add(mark.kind, record, (record.cost_usd or _ZERO) - (cheap or _ZERO))

    def _note_prefix(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        """Count what reading the instructions from a cache would have saved, less what writing costs."""
        plain = self._rate(record.model, record.provider, "input_tokens")
        before = self._prefix_at.get(call.feature.name)
        self._prefix_at[call.feature.name] = record.at
        if before is not None and (record.at - before).total_seconds() <= _PREFIX_LIVES_S:
            read = self._rate(record.model, record.provider, "cache_read_tokens")
            self._add(mark.kind, record, mark.tokens * (plain - read))
        else:
            write = self._rate(record.model, record.provider, "cache_write_tokens", plain)
            self._usd[mark.kind] -= mark.tokens * (write - plain)

    def _note_output(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del mark
        rate = self._rate(record.model, record.provider, "output_tokens")
        self._long_letters.append((record.id, call.output_tokens, rate))

    def _note_night(self, call: Call, record: TrafficRecord, mark: Mark) -> None:
        del call, mark
        batch = self._prices.cost(replace(record.usage, batch=True), record.model, record.provider, record.at)
        saved = (record.cost_usd or _ZERO) - (batch.total_usd or _ZERO)
        self._nights[record.at.date()].append((record.id, saved))

    def _close_outputs(self, usd: dict[str, Decimal], ids: dict[str, list[str]]) -> None:
        if not self._long_letters:
            return
        lengths = sorted(self._letters)
        usual, high = _percentile(lengths, "0.5"), _percentile(lengths, "0.95")
        for name, tokens, rate in self._long_letters:
            if tokens > 4 * usual and tokens > high:
                usd["unbounded_outputs"] = usd.get("unbounded_outputs", _ZERO) + rate * (tokens - high)
                ids.setdefault("unbounded_outputs", []).append(name)

    def _close_nights(self, usd: dict[str, Decimal], ids: dict[str, list[str]]) -> None:
        nights = [night for night in self._nights.values() if len(night) >= _NIGHT_CALLS]
        if len(nights) < _NIGHTS:
            return
        usd["batchable"] = sum((saved for night in nights for _, saved in night), _ZERO)
        ids["batchable"] = [name for night in nights for name, _ in night]

    def _rate_anew(self, model: str, provider: str, unit: str, otherwise: Decimal = _ZERO) -> Decimal:
        """Return USD per token."""
        price = self._prices.price(model, provider, self._last_at)
        rate = None if price is None else price.rates.get(unit)
        return otherwise if rate is None else rate.base / _MILLION


def _percentile(ordered: list[int], share: str) -> Decimal:
    """Return a percentile of numbers in order, drawn straight between neighbours."""
    place = (len(ordered) - 1) * Decimal(share)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
