"""A record of its own for every call, also where a caller gives several calls the same run id."""

from __future__ import annotations

from collections import OrderedDict
from uuid import uuid4

__all__ = ["RecordIds"]

_MOST_REMEMBERED = 10_000


class RecordIds:
    """Name the record of a call whose run id an earlier call had, alike for every handler that sees it.

    LangChain makes a new id for every run, but a config may hold one (`{"run_id": ...}`) and be used again.
    As each call is recorded once per id, the second would be lost. Calls that follow one another are told
    apart; of two that run at once under one id LangChain itself keeps only the later.

    Args:
        most: How many ids are remembered; the oldest are forgotten first.
    """

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        self._most = most
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._names: OrderedDict[str, str] = OrderedDict()

    def of(self, run: str) -> str | None:
        """Return the name of a call that begins, None where its run id is name enough."""
        if run not in self._ended:
            return self._names.get(run) if self._names else None
        # The first handler to hear of the call gets here; the others find what it noted.
        self._ended.pop(run, None)
        name = self._names[run] = f"{run}-{uuid4().hex[:12]}"
        _trim(self._names, self._most)
        return name

    def end(self, run: str) -> None:
        """Note that a call has ended; one that begins under its run id later is another."""
        self._ended[run] = None
        _trim(self._ended, self._most)


def _trim(ids: OrderedDict[str, None] | OrderedDict[str, str], most: int) -> None:
    if len(ids) > most:
        ids.popitem(last=False)
