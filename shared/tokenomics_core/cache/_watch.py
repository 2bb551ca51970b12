"""One log line per outage of a part of the cache, and a count for every failure."""

from __future__ import annotations

import logging
import threading

__all__ = ["Watch"]

_log = logging.getLogger("tokenomics")


class Watch:
    """Counts what fails, by part (`store`, `embedder`, `policy` ...), and says so once until it works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._lost_at: dict[str, int] = {}

    @property
    def failures(self) -> dict[str, int]:
        """Failures by part."""
        with self._lock:
            return dict(self._failures)

    def failed(self, part: str, error: Exception, consequence: str) -> None:
        """Note that a part failed, and say what that means where it is news."""
        with self._lock:
            count = self._failures[part] = self._failures.get(part, 0) + 1
            first = part not in self._lost_at
            if first:
                self._lost_at[part] = count
        if first:
            _log.warning("cache: the %s failed, %s: %s: %s", part, consequence, type(error).__name__, error)

    def worked(self, part: str) -> None:
        """Note that a part did what it was asked."""
        if part not in self._lost_at:
            return
        with self._lock:
            lost_at = self._lost_at.pop(part, None)
            missed = self._failures.get(part, 0) - (lost_at or 0) + 1
        if lost_at is not None:
            _log.warning("cache: the %s works again after %d failures", part, missed)
