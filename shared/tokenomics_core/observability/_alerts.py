"""Send what a watch or a budget tells to the log or to a webhook, without ever holding up a call."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from tokenomics_core.errors import ConfigurationError

__all__ = ["ALERT_SHARES", "LogAlerts", "WebhookAlerts", "alert_body"]

ALERT_SHARES: Final = (0.5, 0.8, 1.0)
"""Shares of a budget at which to tell: `Limit("all", usd=300, window="month", alerts=ALERT_SHARES)`."""

_log = logging.getLogger("tokenomics")
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0
_LARGEST_BODY = 1_000_000


class LogAlerts:
    """Writes every alert as one line to the log.

    Args:
        logger: Where; the logger `tokenomics` if None.
        level: How urgent.
    """

    def __init__(self, logger: logging.Logger | None = None, *, level: int = logging.WARNING) -> None:
        self._logger, self._level = logger or _log, level

    def __call__(self, alert: object) -> None:
        self._logger.log(self._level, "%s", alert)


class WebhookAlerts:
    """Posts every alert as JSON to a URL, from a thread of its own.

    The caller only puts the alert into a queue; where that is full the alert is dropped and counted. A
    server that is busy or away is asked again, each time after twice as long or after what its `Retry-After`
    says, up to a minute; one that refuses is not. What becomes of an alert is counted and never raised.

    Args:
        url: Where to post, `http` or `https`; redirects are not followed.
        headers: Sent along, such as an authorisation.
        body: Makes the JSON value of an alert; `alert_body` if None, which has its `text` for chat services.
        timeout_s: Seconds that one attempt may take.
        attempts: How often an alert is tried at most.
        wait_s: Seconds before the second attempt.
        most_waiting: Alerts that may wait.

    Raises:
        ConfigurationError: A setting cannot be; nothing will be sent.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[Any], Mapping[str, Any]] | None = None,
        timeout_s: float = 5.0,
        attempts: int = 4,
        wait_s: float = 1.0,
        most_waiting: int = 1_000,
    ) -> None:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"url must begin with http:// or https://, not {url!r}; nothing is sent")
        for name, value in (("timeout_s", timeout_s), ("wait_s", wait_s)):
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 < value <= _LONGEST_WAIT_S
            ):
                raise ConfigurationError(
                    f"{name} must be above 0 and at most 60, not {value!r}; nothing is sent"
                )
        for name, count in (("attempts", attempts), ("most_waiting", most_waiting)):
            if type(count) is not int or count < 1:
                raise ConfigurationError(f"{name} must be 1 or more, not {count!r}; nothing is sent")
        self._url = url
        self._headers = {"Content-Type": "application/json", "User-Agent": "tokenomics", **(headers or {})}
        self._body = body or alert_body
        self._timeout_s, self._attempts, self._wait_s = timeout_s, attempts, wait_s
        self._most = most_waiting
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_busy = self._is_closed = False
        self._opener = urllib.request.build_opener(_NoRedirect())
        self.sent = self.failed = self.dropped = 0

    def __call__(self, alert: object) -> None:
        """Put an alert into the queue."""
        with self._changed:
            if self._is_closed or len(self._waiting) >= self._most:
                self.dropped += 1
                return
            self._waiting.append(alert)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tokenomics-alerts", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing waits or is under way, and say whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_busy, timeout_s)

    def close(self, timeout_s: float = 10.0) -> None:
        """Send what waits, as far as time allows, and take no more; what is left over counts as dropped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self.flush(timeout_s)
        with self._changed:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._attempts = 0
            self._changed.notify_all()

    # -- the thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                alert = self._waiting.popleft()
                self._is_busy = True
            try:
                is_sent = self._deliver(alert)
            except Exception:  # noqa: BLE001 - a body that cannot be made may not end the thread
                is_sent = False
                _log.exception("an alert could not be written as JSON; it is not sent")
            with self._changed:
                self.sent += is_sent
                self.failed += not is_sent
                self._is_busy = False
                self._changed.notify_all()

    def _deliver(self, alert: object) -> bool:
        data = json.dumps(self._body(alert), ensure_ascii=False).encode()[:_LARGEST_BODY]
        request = urllib.request.Request(self._url, data, self._headers, method="POST")  # noqa: S310 - the scheme was checked
        wait_s, reason, attempt = self._wait_s, "the watch was closed", 0
        while attempt < self._attempts:
            attempt += 1
            try:
                with self._opener.open(request, timeout=self._timeout_s):
                    return True
            except urllib.error.HTTPError as error:
                with error:
                    reason = f"status {error.code}"
                    asked_s = _retry_after(error.headers.get("Retry-After"))
                    may_retry = error.code in _RETRY_STATUS
                if not may_retry:
                    break
                wait_s = max(wait_s, asked_s)
            except (OSError, ValueError, urllib.error.URLError) as error:
                reason = repr(error)
            if attempt < self._attempts:
                self._pause(min(wait_s, _LONGEST_WAIT_S))
                wait_s *= 2
        _log.warning("an alert could not be delivered after %d attempts: %s", attempt, reason)
        return False

    def _pause(self, wait_s: float) -> None:
        """Wait before the next attempt; closing for good ends that."""
        with self._changed:
            self._changed.wait_for(lambda: self._attempts == 0, wait_s)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert may hold names of users, and goes where it was meant to go or nowhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the interface of urllib
        return None


def alert_body(alert: object) -> dict[str, Any]:
    """Return an anomaly or a budget's alert as plain JSON types, with its words under `text`."""
    telling = getattr(alert, "to_dict", None)
    if callable(telling):
        return {"text": str(alert), **telling()}
    if is_dataclass(alert) and not isinstance(alert, type):
        known = {item.name: _plain(getattr(alert, item.name)) for item in fields(alert)}
        return {"text": _words(known) if "threshold" in known else str(alert), **known}
    return {"text": str(alert)}


def _words(known: Mapping[str, Any]) -> str:
    who = " ".join(str(known[name]) for name in ("scope", "key") if known.get(name))
    window = f" per {known['window']}" if known.get("window") else ""
    return (
        f"{who}: {known['spent']} of {known['limit']} {known['unit']}{window} "
        f"{'committed, and a call was refused' if known['reason'] == 'refused' else 'spent'} "
        f"(alert at {known['threshold']:.0%})"
    )


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _retry_after(value: str | None) -> float:
    """Return the seconds that a server asks to wait, as a number or until a date; 0 for none."""
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, until.timestamp() - time.time()) if until.tzinfo is not None else 0.0
