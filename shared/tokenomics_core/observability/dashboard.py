"""A page that shows what is spent, live, on this machine or behind a token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from tokenomics_core.budgets import Budgets, BudgetStatus
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import BaseLedger
from tokenomics_core.observability._dashboard_document import describe
from tokenomics_core.observability._dashboard_http import DashboardServer, Door, is_loopback
from tokenomics_core.observability._dashboard_refresh import Refresher
from tokenomics_core.observability._dashboard_view import Spend, SpendView
from tokenomics_core.observability._metrics_watched import standing
from tokenomics_core.types import Attribution

__all__ = ["Dashboard"]

LEAST_TOKEN = 16
_MOST_ACCOUNTS = 20
_OWN = frozenset({"user", "feature", "project", "conversation", "run"})


class Dashboard:
    """Serve what a ledger says, and what budgets have left, to browsers.

    with Dashboard(ledger) as dashboard:
        print(dashboard.url)

    Nothing is changed and nothing leaves the process but the page and its data; only GET and HEAD are
    answered. Reading goes on while somebody looks, in a thread of its own.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self,
        ledger: BaseLedger,
        *,
        budgets: Budgets | None = None,
        accounts: Iterable[Attribution] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        names: Iterable[str] = (),
        timezone: str = "UTC",
        title: str = "",
        refresh_s: float = 2.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Listen; `start` or `serve` begins to answer.

        Args:
            ledger: What is shown; it stays the caller's to close.
            budgets: Whose limits are shown: those on all calls, and on the features, projects and users that
                this month cost most.
            accounts: Whose limits to show besides, with the tags that their limits match.
            host: The address to listen at. Beyond this machine a token is needed.
            port: The port; 0 takes a free one.
            token: What viewers have to know, at least 16 characters. On this machine it keeps other users of
                the machine out, and may be left out.
            names: Names under which viewers may come, besides `localhost`, `host` and addresses in numbers.
            timezone: IANA name of the zone whose days count.
            title: A heading.
            refresh_s: How often the ledger is read at most, while somebody looks.
            clock: Tells the time, with a zone.

        Raises:
            ConfigurationError: A setting is wrong, or others could reach the page without a token; nothing
                listens.
            OSError: The address cannot be listened at.
        """
        _check(host, port, token, refresh_s)
        self.host, self._has_token = host, token is not None
        self._token = token
        self._title, self._budgets, self._accounts = title, budgets, tuple(accounts)
        self._view = SpendView(ledger, clock=clock, timezone=timezone)
        self._refresher = Refresher(self._read, every_s=refresh_s)
        self._server = DashboardServer(host, port, Door(token, (*names, host)), self._refresher.current)
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.port: int = self._server.server_port

    @property
    def url(self) -> str:
        """The address of the page, without the token."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def login_url(self) -> str:
        """The address that lets a browser in, to be told to nobody else; the page leads away from it."""
        return self.url if self._token is None else f"{self.url}?token={_quoted(self._token)}"

    def serve(self) -> None:
        """Answer until `close` is called elsewhere, or the thread is interrupted."""
        self._refresher.start()
        self._server.serve_forever(poll_interval=0.2)

    def start(self) -> None:
        """Answer from a thread of its own."""
        self._thread = threading.Thread(target=self.serve, name="tokenomics-dashboard-http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more; a second time changes nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._refresher.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        if self._view.wants_earlier_days:
            yield self._describe(self._view.read_today())
        yield self._describe(self._view.read())

    def _describe(self, spend: Spend) -> dict[str, Any]:
        statuses: list[BudgetStatus] = []
        notices: list[str] = []
        if self._budgets is not None:
            matched = _matched_by_tags(self._budgets)
            found = [*self._accounts, *_found_accounts(spend, matched)]
            statuses = [status for _, status in standing(self._budgets, found)]
            if matched:
                notices.append(
                    f"Some limits on {' and '.join(sorted(matched))} match tags, which are not known here: "
                    "of those, only accounts that were named are shown."
                )
        return describe(spend, statuses, title=self._title, notices=notices)


def _found_accounts(spend: Spend, matched: frozenset[str]) -> Iterator[Attribution]:
    """Return the accounts that cost most, but for those whose limits depend on tags that nobody told."""
    for dimension in ("feature", "project", "user"):
        if dimension in matched:
            continue
        for line in spend.by[dimension][:_MOST_ACCOUNTS]:
            if line.name:
                known: dict[str, Any] = {dimension: line.name}
                yield Attribution(**known)


def _matched_by_tags(budgets: Budgets) -> frozenset[str]:
    return frozenset(name for limit in budgets.limits if set(limit.match) - _OWN for name in limit.names)


def _check(host: str, port: int, token: str | None, refresh_s: float) -> None:
    if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
        raise ConfigurationError(
            f"a token needs at least {LEAST_TOKEN} characters of ASCII, this one has {len(token)}; "
            "nothing listens"
        )
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host!r} can be reached by others than this machine, so a token is needed; nothing listens"
        )
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65_535:
        raise ConfigurationError(f"port must be a number from 0 to 65535, not {port!r}; nothing listens")
    if refresh_s <= 0:
        raise ConfigurationError(f"refresh_s must be more than 0, not {refresh_s!r}; nothing listens")


def _quoted(token: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - asked once

    return quote(token, safe="")
