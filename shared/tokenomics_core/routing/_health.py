"""Which tiers just failed, and how long to leave them alone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tokenomics_core.errors import ConfigurationError

__all__ = ["Health", "TierHealth", "kind_of_failure"]

_RATE_LIMIT = re.compile(
    r"rate.?limit|too many requests|\b429\b|overloaded|resource.?exhausted|quota", re.IGNORECASE
)
_TIMEOUT = re.compile(r"time.?d?.?out|deadline", re.IGNORECASE)
_NEVER_A_TIERS_FAULT = re.compile(
    r"bad.?request|invalid.?request|authentication|permission|content.?(filter|policy)|\b40[013]\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TierHealth:
    """How a tier has been doing.

    Attributes:
        calls: Calls reported.
        failures: Of these, failed ones.
        in_a_row: Failures since the last success.
        rests_s: Seconds until it is tried again; 0 if it may be used now.
        last_failure: `error`, `rate_limit` or `timeout`; None if it never failed.
        mean_latency_s: Of successful calls, the recent ones counting most; None before the first.
    """

    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    rests_s: float = 0.0
    last_failure: str | None = None
    mean_latency_s: float | None = None


class Health:
    """Remembers errors, rate limits and timeouts of tiers and lets them rest.

    A tier rests `rest_s` after `patience` failures in a row, at once after a rate limit, and twice as long
    after every further failure, up to `longest_rest_s`. When its rest is over it is tried again; one
    success clears it.

    Args:
        rest_s: First rest, in seconds. 30 by default: limits of hosted models are stated per minute.
        longest_rest_s: Longest rest.
        patience: Failures in a row, other than rate limits, that are borne.
        clock: Seconds that only grow.

    Raises:
        ConfigurationError: A number is not above 0.
    """

    def __init__(
        self,
        *,
        rest_s: float = 30.0,
        longest_rest_s: float = 600.0,
        patience: int = 2,
        clock: Callable[[], float] | None = None,
    ) -> None:
        for name, value in (("rest_s", rest_s), ("longest_rest_s", longest_rest_s), ("patience", patience)):
            if not value > 0:
                raise ConfigurationError(f"{name} must be above 0, not {value!r}")
        self._rest_s, self._longest_rest_s, self._patience = rest_s, longest_rest_s, patience
        self._clock = clock
        self._lock = threading.Lock()
        self._tiers: dict[str, _Memory] = {}

    def bind(self, clock: Callable[[], float]) -> None:
        """Take a clock, unless it was made with one."""
        if self._clock is None:
            self._clock = clock

    def rests(self, tier: str) -> bool:
        """Whether the tier should be left alone now."""
        memory = self._tiers.get(tier)
        return memory is not None and memory.until > self._now()

    def succeeded(self, tier: str, latency_s: float | None = None) -> None:
        """Remember a call that worked."""
        with self._lock:
            memory = self._tiers.setdefault(tier, _Memory())
            memory.calls += 1
            memory.in_a_row, memory.until = 0, 0.0
            if latency_s is not None:
                old = memory.latency_s
                memory.latency_s = latency_s if old is None else old + 0.1 * (latency_s - old)

    def failed(self, tier: str, error: BaseException | str) -> None:
        """Remember a call that did not; what is the request's own fault does not count against a tier."""
        kind = kind_of_failure(error)
        with self._lock:
            memory = self._tiers.setdefault(tier, _Memory())
            memory.calls += 1
            if kind == "request":
                return
            memory.failures += 1
            memory.in_a_row += 1
            memory.last_failure = kind
            needed = 1 if kind == "rate_limit" else self._patience
            if (over := memory.in_a_row - needed) >= 0:
                rest_s = min(self._longest_rest_s, self._rest_s * 2.0 ** min(over, 32))
                memory.until = self._now() + max(rest_s, _retry_after_s(error))

    def of(self, tier: str) -> TierHealth:
        """Say how a tier has been doing."""
        with self._lock:
            memory = self._tiers.get(tier)
            if memory is None:
                return TierHealth()
            return TierHealth(
                memory.calls,
                memory.failures,
                memory.in_a_row,
                max(0.0, memory.until - self._now()),
                memory.last_failure,
                memory.latency_s,
            )

    def _now(self) -> float:
        return 0.0 if self._clock is None else self._clock()


def kind_of_failure(error: BaseException | str) -> str:
    """Tell `rate_limit`, `timeout`, `request` (no tier's fault) and any other `error` apart.

    The status code of the exception decides where it has one, else its type and words do.
    """
    status = getattr(error, "status_code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    if status in (429, 529):
        return "rate_limit"
    if status in (408, 504):
        return "timeout"
    if isinstance(status, int):
        return "request" if 400 <= status < 500 and status not in (404, 409) else "error"
    if isinstance(error, TimeoutError):
        return "timeout"
    words = error if isinstance(error, str) else f"{type(error).__name__} {error}"
    for kind, pattern in (
        ("rate_limit", _RATE_LIMIT),
        ("timeout", _TIMEOUT),
        ("request", _NEVER_A_TIERS_FAULT),
    ):
        if pattern.search(words):
            return kind
    return "error"


@dataclass(slots=True)
class _Memory:
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    until: float = 0.0
    last_failure: str | None = None
    latency_s: float | None = field(default=None)


def _retry_after_s(error: BaseException | str) -> float:
    """Read the wait that a provider asks for, at most an hour; 0 if it asks for none."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(3600.0, max(0.0, float(headers.get("retry-after", 0))))
    except (TypeError, ValueError, AttributeError):
        return 0.0
