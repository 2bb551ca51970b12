"""What all ledgers share: every sum and export, on top of a few primitives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger._calendar import Bucket, Calendar
from tokenomics_core.ledger._entry import admit, storable
from tokenomics_core.ledger._export import Target, read_jsonl, to_frame, write_csv, write_jsonl
from tokenomics_core.ledger._query import Query, dimension_names, instant_us
from tokenomics_core.types import SpendRecord, Totals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BaseLedger", "Group", "utc_now"]

Group = tuple[int, tuple[str, ...]]
"""Start of the bucket in microseconds since 1970 (0 without one), and a value per dimension."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


class BaseLedger(ABC):
    """An append-only list of calls that answers what they cost, by whom, for what and when.

    Amounts are kept in whole units of 10^-12 USD; a finer one is rounded half to even when it is
    recorded, and every sum is exact from there. Wherever filters are taken, `since` is included,
    `until` is not, and every further keyword names a dimension or tag and the value it must have;
    None or `""` asks for records without one.
    """

    @abstractmethod
    def record(self, record: SpendRecord) -> None:
        """Append one record; the same id a second time changes nothing.

        Raises:
            StoreError: The record could not be kept.
            ConfigurationError: An amount or count of the record cannot be summed exactly.
        """

    @abstractmethod
    async def arecord(self, record: SpendRecord) -> None:
        """Append one record without blocking the event loop."""

    @abstractmethod
    def records(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Iterator[SpendRecord]:
        """Go through the records in the order of their time; what is recorded meanwhile is left out."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files; what was recorded is safe. A second time changes nothing."""

    @abstractmethod
    def _record_all(self, records: Iterable[SpendRecord]) -> int:
        """Append records and return how many were new."""

    @abstractmethod
    def _sums(
        self, query: Query, dimensions: tuple[str, ...], calendar: Calendar | None
    ) -> dict[Group, Totals]:
        """Sum by dimensions and bucket; without either there may be no group at all."""

    @abstractmethod
    def _costs(self, query: Query, dimensions: tuple[str, ...]) -> dict[Group, Decimal]:
        """Sum the known costs alone, which is what most questions are about."""

    @abstractmethod
    def _forget(self, user: str, *, delete: bool) -> int:
        """Make a user's records anonymous, or delete them, and return their number."""

    @abstractmethod
    def _prune(self, before_us: int) -> int:
        """Delete records older than an instant and return their number."""

    @abstractmethod
    def _now(self) -> datetime:
        """Return the time, with a time zone."""

    def total(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Decimal:
        """Sum the known costs, in USD."""
        return self._costs(Query.of(since, until, where), ()).get((0, ()), Decimal(0))

    def totals(
        self, *, since: datetime | None = None, until: datetime | None = None, **where: str | None
    ) -> Totals:
        """Sum everything there is to sum."""
        groups = self._sums(Query.of(since, until, where), (), None)
        return groups.get((0, ()), Totals())

    def by(
        self,
        dimension: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> Mapping[str, Decimal]:
        """Sum the known costs by a dimension or tag, the largest first; records without it stand under `""`.

        Raises:
            ConfigurationError: The dimension is no name, or a filter is none.
        """
        groups = self._costs(Query.of(since, until, where), dimension_names(dimension))
        ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
        return {group[1][0]: cost_usd for group, cost_usd in ordered}

    @overload
    def totals_by(
        self,
        dimension: str,
        *,
        bucket: None = None,
        timezone: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> dict[str, Totals]: ...
    @overload
    def totals_by(
        self,
        dimension: str,
        *,
        bucket: Bucket,
        timezone: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> dict[tuple[datetime, str], Totals]: ...
    @overload
    def totals_by(
        self,
        dimension: None = None,
        *,
        bucket: Bucket,
        timezone: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> dict[datetime, Totals]: ...
    @overload
    def totals_by(
        self,
        dimension: tuple[str, ...],
        *,
        bucket: Bucket | None = None,
        timezone: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> dict[tuple[datetime | str, ...], Totals]: ...

    def totals_by(
        self,
        dimension: str | tuple[str, ...] | None = None,
        *,
        bucket: Bucket | None = None,
        timezone: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> dict[Any, Totals]:
        """Sum everything by dimension or tag, by time, or by both.

        Args:
            dimension: One name, several (keys are then tuples), or None to group by time alone.
            bucket: `hour`, `day`, `week` (from Monday) or `month`; keys then begin with its start.
            timezone: IANA name of the zone whose days are meant.
            since: The first instant, included.
            until: The last instant, not included.
            where: Values that dimensions or tags must have.

        Returns:
            Totals by a value, a start, or `(start, value)`: without a bucket the costliest first, with one
            in the order of time and then of values. Starts are local times with a fixed offset. Buckets
            without records are absent.
        """
        names = dimension_names(dimension)
        if bucket is None and not names:
            raise ConfigurationError("totals_by needs a dimension, a bucket, or both")
        calendar = None if bucket is None else Calendar(bucket, timezone)
        groups = self._sums(Query.of(since, until, where), names, calendar)
        ordered = sorted(
            groups, key=None if calendar is not None else lambda group: (-groups[group].cost_usd, group)
        )
        return {_key(group, dimension, calendar): groups[group] for group in ordered}

    def to_dataframe(
        self,
        *,
        money: Literal["decimal", "float"] = "decimal",
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> pd.DataFrame:
        """Return one row per record (extra `notebook`).

        Args:
            money: Amounts as exact `decimal` objects, or as `float` for plotting; unknown is None or NaN.
            since: The first instant, included.
            until: The last instant, not included.
            where: Values that dimensions or tags must have.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_frame(self.records(since=since, until=until, **where), money)

    def to_csv(
        self,
        target: Target,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> int:
        """Write one row per record to a path or open text file, and return their number."""
        return write_csv(self.records(since=since, until=until, **where), target)

    def to_jsonl(
        self,
        target: Target,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **where: str | None,
    ) -> int:
        """Write one JSON object per record to a path or open text file, and return their number."""
        return write_jsonl(self.records(since=since, until=until, **where), target)

    def import_jsonl(self, path: str | PathLike[str]) -> int:
        """Append what `to_jsonl` wrote and return how many records were new; repeating it is harmless.

        Raises:
            StoreError: The file cannot be read or a line is no record; nothing was imported.
            ConfigurationError: An amount or count of a record cannot be summed exactly; likewise.
        """
        for record in read_jsonl(path):  # whatever is wrong is found before anything is written
            admit(record, keep_content=False)
        return self._record_all(read_jsonl(path))

    def forget(self, *, user: str, delete: bool = False) -> int:
        """Remove whose the calls of a user were, and return how many records that concerned.

        User, conversation, run, tags and content are removed; amounts, model, feature and project stay,
        so that bills still add up. With `delete` the records go altogether, and sums change.
        """
        if not isinstance(user, str) or not user:
            raise ConfigurationError(f"user must be a name, not {user!r}; nothing was forgotten")
        return self._forget(storable(user), delete=delete)

    def prune(self, older_than: timedelta | datetime) -> int:
        """Delete records older than an age or an instant, and return their number."""
        if isinstance(older_than, timedelta):
            if older_than < timedelta():
                raise ConfigurationError(
                    f"older_than must not be negative, not {older_than!r}; nothing was deleted"
                )
            older_than = self._now() - older_than
        return self._prune(instant_us("older_than", older_than))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _key(group: Group, dimension: str | tuple[str, ...] | None, calendar: Calendar | None) -> object:
    start_us, values = group
    if calendar is None:
        return values[0] if isinstance(dimension, str) else values
    start = calendar.label(start_us)
    return (start, *values) if dimension is not None else start
