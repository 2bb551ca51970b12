"""Which records a question is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger._calendar import to_us
from tokenomics_core.ledger._entry import Entry, storable
from tokenomics_core.types import dimension_of

__all__ = ["Query", "dimension_names", "instant_us"]


@dataclass(frozen=True, slots=True)
class Query:
    """A span of time and the values that dimensions or tags must have.

    A value of None or `""` asks for the records that stand under `""` in a sum: those without one.
    """

    since_us: int | None = None
    until_us: int | None = None
    where: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, since: datetime | None, until: datetime | None, where: Mapping[str, str | None] | None = None
    ) -> Query:
        """Check the filters that a ledger's methods take."""
        since_us = None if since is None else instant_us("since", since)
        until_us = None if until is None else instant_us("until", until)
        if since_us is not None and until_us is not None and since_us > until_us:
            raise ConfigurationError(f"since={since} must not be later than until={until}")
        for name, value in (where or {}).items():
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} must be a string or None, not {value!r}")
        return cls(
            since_us,
            until_us,
            tuple((storable(name), storable(value or "")) for name, value in (where or {}).items()),
        )

    def admits(self, entry: Entry) -> bool:
        """Tell whether an entry is asked for."""
        if self.since_us is not None and entry.at_us < self.since_us:
            return False
        if self.until_us is not None and entry.at_us >= self.until_us:
            return False
        return all((dimension_of(entry.record, name) or "") == value for name, value in self.where)


def instant_us(name: str, at: datetime) -> int:
    """Return an instant in microseconds since 1970, refusing one without a time zone."""
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ConfigurationError(f"{name} must be a datetime with a time zone, not {at!r}")
    return to_us(at)


def dimension_names(dimension: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return what to group by as a tuple of names; any name that is no dimension is a tag."""
    if dimension is not None and not isinstance(dimension, (str, tuple, list)):
        raise ConfigurationError(f"a dimension must be a name, or several in a tuple, not {dimension!r}")
    names = () if dimension is None else (dimension,) if isinstance(dimension, str) else tuple(dimension)
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"a dimension must be a name, not {name!r}")
    return tuple(storable(name) for name in names)
