"""All calls of an audit in the order of time, one column at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenomics_core.traffic._audit_part import NAMES, RAGGED, AuditPart
from tokenomics_core.traffic._facts import FLAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["AuditFrame", "groups_of", "ragged_rows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHARED = {"model": "models", "feature": "features", "user": "users", "usage": "usages", "layout": "layouts"}


class AuditFrame:
    """The calls of several parts, sorted by time; what a column holds is read when it is asked for.

    Rows of equal time are sorted by what they hold, so that the order of the parts does not matter. A call
    that stands in the log twice, with the same id and the same time, counts once.

    Args:
        parts: In any order.

    Attributes:
        rows: How many calls there are.
        doubles: How many more stood in the log.
    """

    def __init__(self, parts: Sequence[AuditPart]) -> None:
        self._parts = parts
        at_us = self._joined("at_us")
        self._order: Ints = self._in_time(at_us)
        self.rows = len(self._order)
        self.doubles = len(at_us) - self.rows
        self.at_us: Ints = at_us[self._order]
        self.names: dict[str, list[str]] = {}
        self._codes: dict[str, list[NDArray[np.int32]]] = {}
        for name in set(_SHARED.values()):
            self._share(name)
        self.flags: NDArray[np.int32] = self.column("flags")
        self._starts = np.cumsum([0, *(part.rows for part in parts)])

    def column(self, name: str) -> NDArray[Any]:
        """Return a column in the order of time; of names, their places in `names`, -1 where unknown."""
        if name not in _SHARED:
            return self._joined(name)[self._order]
        codes = [
            np.where(part.column(name) < 0, np.int32(-1), mapped[part.column(name)])
            if len(mapped)
            else part.column(name)
            for part, mapped in zip(self._parts, self._codes[_SHARED[name]], strict=True)
        ]
        return np.concatenate(codes)[self._order] if codes else np.empty(0, np.int32)

    def ragged(self, name: str) -> tuple[Ints, Ints, Ints]:
        """Return the values of a column of several per call, and each call's first place and their number."""
        values = self._joined(name)
        counts = self._joined(f"{name}_counts").astype(np.int64)
        firsts = np.cumsum(counts) - counts
        return values, firsts[self._order], counts[self._order]

    def has(self, *flags: str) -> Bools:
        """Tell which calls have all of some flags."""
        wanted = sum(FLAGS[flag] for flag in flags)
        found: Bools = (self.flags & wanted) == wanted
        return found

    def lacks(self, flag: str) -> Bools:
        """Tell which calls lack a flag."""
        found: Bools = (self.flags & FLAGS[flag]) == 0
        return found

    def texts(self, rows: Ints) -> list[str]:
        """Return the questions of some calls, "" where none was kept."""
        return self._told(rows, "texts", "text")

    def wheres(self, rows: Ints) -> list[str]:
        """Return where some calls stand in the log."""
        return self._told(rows, "wheres", None)

    def excerpts(self) -> dict[int, str]:
        """Return how templates begin, by their digest."""
        found: dict[int, str] = {}
        for part in self._parts:
            for line in part.table("excerpts"):
                key, _, text = line.partition("\t")
                found[int(key)] = min(text, found.get(int(key), text))
        return found

    def model_of(self, code: int) -> tuple[str, str | None]:
        """Return a model's name and its provider's."""
        name, provider = json.loads(self.names["models"][code])
        return name, provider

    def at(self, row: int) -> datetime:
        """Return when a call was made."""
        return _EPOCH + timedelta(microseconds=int(self.at_us[row]))

    def _told(self, rows: Ints, table: str, column: str | None) -> list[str]:
        found = [""] * len(rows)
        places = self._order[rows]
        parts = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(parts).tolist():
            part, here = self._parts[number], np.flatnonzero(parts == number)
            local = places[here] - self._starts[number]
            codes = local if column is None else part.column(column)[local]
            texts = part.table(table)
            for place, code in zip(here.tolist(), codes.tolist(), strict=True):
                found[place] = texts[code] if code >= 0 else ""
        return found

    def _in_time(self, at_us: Ints) -> Ints:
        """Return the places of all calls in the order of time, each call once."""
        order: Ints = np.lexsort((self._joined("tie"), at_us))
        name = self._joined("name")[order]
        grouped = np.lexsort((at_us[order], name))
        again = np.zeros(len(order), np.bool_)
        one, other = grouped[:-1], grouped[1:]
        same = (name[one] == name[other]) & (name[other] != 0) & (at_us[order][one] == at_us[order][other])
        again[other[same]] = True
        return order[~again]

    def _joined(self, name: str) -> NDArray[Any]:
        kind = np.int64 if name in RAGGED else None
        columns = [part.column(name) for part in self._parts]
        return np.concatenate(columns) if columns else np.empty(0, kind or np.int64)

    def _share(self, name: str) -> None:
        """Give every text of a table one place among all parts, in the order of the alphabet."""
        assert name in NAMES  # noqa: S101 - a slip in the names above
        tables = [part.table(name) for part in self._parts]
        every = sorted({text for table in tables for text in table})
        places = {text: place for place, text in enumerate(every)}
        self.names[name] = every
        self._codes[name] = [np.array([places[text] for text in table], np.int32) for table in tables]


def groups_of(*keys: NDArray[Any]) -> tuple[Ints, Ints]:
    """Sort rows by keys, keeping their order within a group; return the places and where groups start."""
    if not len(keys[0]):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), np.bool_)
    new[0] = True
    for key in keys:
        ordered = key[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    return order, np.flatnonzero(new)


def ragged_rows(counts: Ints) -> Ints:
    """Return, for each value of a ragged column, the row it belongs to."""
    return np.repeat(np.arange(len(counts)), counts)
