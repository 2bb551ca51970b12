"""A ledger for one process, gone when it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger._base import BaseLedger, Group, utc_now
from tokenomics_core.ledger._calendar import Calendar
from tokenomics_core.ledger._entry import Entry, admit, anonymous
from tokenomics_core.ledger._money import from_pico
from tokenomics_core.ledger._query import Query
from tokenomics_core.ledger._sums import Sums
from tokenomics_core.types import SpendRecord, Totals, dimension_of

__all__ = ["MemoryLedger"]


class MemoryLedger(BaseLedger):
    """Keep records in memory, for any number of threads of one process.

    A forked child has a copy that its parent never sees, so use after a fork is refused.

    Args:
        max_records: How many records to keep; beyond it the oldest-recorded are let go, sums cover what
            is kept, and `dropped_records` counts the rest. None keeps all.
        keep_content: Whether to keep the prompts and answers that a record may carry.
        clock: Tells the time by which `prune` measures ages.
    """

    def __init__(
        self,
        max_records: int | None = None,
        *,
        keep_content: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if max_records is not None and (not isinstance(max_records, int) or max_records < 1):
            raise ConfigurationError(f"max_records must be 1 or more, or None, not {max_records!r}")
        self.dropped_records = 0
        self._max_records = max_records
        self._keep_content = keep_content
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def record(self, record: SpendRecord) -> None:
        """Append one record; the same id a second time changes nothing."""
        self._check_process()
        entry = admit(record, keep_content=self._keep_content)
        with self._lock:
            self._append(entry)

    async def arecord(self, record: SpendRecord) -> None:
        """Append one record; nothing here waits for anything but other threads' appends."""
        self.record(record)

    def records(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Iterator[SpendRecord]:
        """Go through the records in the order of their time; what is recorded meanwhile is left out."""
        query = Query.of(since, until, where)
        entries = [entry for entry in self._snapshot() if query.admits(entry)]
        entries.sort(key=lambda entry: entry.at_us)
        return (entry.record for entry in entries)

    def close(self) -> None:
        """Do nothing: there is no file to let go of."""

    def _record_all(self, records: Iterable[SpendRecord]) -> int:
        self._check_process()
        entries = [admit(record, keep_content=self._keep_content) for record in records]
        with self._lock:
            return sum([self._append(entry) for entry in entries])

    def _append(self, entry: Entry) -> bool:
        if entry.record.id in self._entries:
            return False
        self._entries[entry.record.id] = entry
        if self._max_records is not None and len(self._entries) > self._max_records:
            del self._entries[next(iter(self._entries))]
            self.dropped_records += 1
        return True

    def _sums(
        self, query: Query, dimensions: tuple[str, ...], calendar: Calendar | None
    ) -> dict[Group, Totals]:
        groups: dict[Group, Sums] = {}
        for entry in self._snapshot():
            if query.admits(entry):
                values = tuple(dimension_of(entry.record, name) or "" for name in dimensions)
                group = (0 if calendar is None else calendar.start_us(entry.at_us), values)
                if group not in groups:
                    groups[group] = Sums()
                groups[group].add(entry)
        return {group: sums.totals() for group, sums in groups.items()}

    def _costs(self, query: Query, dimensions: tuple[str, ...]) -> dict[Group, Decimal]:
        groups: dict[Group, int] = {}
        for entry in self._snapshot():
            if query.admits(entry):
                group = (0, tuple(dimension_of(entry.record, name) or "" for name in dimensions))
                groups[group] = groups.get(group, 0) + (entry.cost_pico or 0)
        return {group: from_pico(pico) for group, pico in groups.items()}

    def _forget(self, user: str, *, delete: bool) -> int:
        self._check_process()
        with self._lock:
            theirs = [key for key, entry in self._entries.items() if entry.record.attribution.user == user]
            for key in theirs:
                if delete:
                    del self._entries[key]
                else:
                    entry = self._entries[key]
                    self._entries[key] = replace(entry, record=anonymous(entry.record))
        return len(theirs)

    def _prune(self, before_us: int) -> int:
        self._check_process()
        with self._lock:
            old = [key for key, entry in self._entries.items() if entry.at_us < before_us]
            for key in old:
                del self._entries[key]
        return len(old)

    def _now(self) -> datetime:
        return self._clock()

    def _snapshot(self) -> list[Entry]:
        self._check_process()
        with self._lock:
            return list(self._entries.values())

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ConfigurationError(
                f"a MemoryLedger of process {self._pid} was used in process {os.getpid()}, where its owner "
                "would never see the records; nothing was recorded or read. Use SQLiteLedger across processes"
            )
