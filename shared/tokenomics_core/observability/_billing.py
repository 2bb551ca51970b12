"""Whether a call that failed was paid for, and what was heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from tokenomics_core.errors import TokenomicsError

if TYPE_CHECKING:
    from tokenomics_core.types import Outcome

__all__ = ["outcome_of", "was_sent"]

_STOPPED = (GeneratorExit, asyncio.CancelledError, KeyboardInterrupt, SystemExit)
_NEVER_SENT = frozenset(
    {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "PoolTimeout", "gaierror"}
)
_LOST_ON_THE_WAY = frozenset(
    {
        "APITimeoutError",
        "ConnectionResetError",
        "IncompleteRead",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "TimeoutError",
        "TimeoutException",
        "WriteTimeout",
    }
)


def outcome_of(error: BaseException) -> Outcome:
    """Name how a call ended that raised."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return "aborted" if isinstance(error, _STOPPED) else "error"


def was_sent(error: BaseException) -> bool:
    """Decide whether a provider may charge for a call that ended without any output.

    A refusal (an HTTP status of 400 or more), a connection that never stood and an error raised before
    sending cost nothing. A call that was cancelled, that timed out or whose connection broke afterwards was
    received and its input is charged. An error of our own, such as a budget whose store timed out, is raised
    before sending, whatever led to it.
    """
    if isinstance(error, _STOPPED):
        return True
    chain = list(takewhile(lambda item: not isinstance(item, TokenomicsError), _causes(error)))
    if any(_status_of(item) >= 400 for item in chain):
        return False
    names = {kind.__name__ for item in chain for kind in type(item).__mro__}
    return not names & _NEVER_SENT and bool(names & _LOST_ON_THE_WAY)


def _status_of(error: BaseException) -> int:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else 0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
