"""A limit: how much of what, for whom, over which time, and what happens at it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from tokenomics_core.budgets._money import Money, nano_for_spend, whole
from tokenomics_core.budgets._window import Window
from tokenomics_core.errors import ConfigurationError

__all__ = ["ALL", "REQUEST", "UNITS", "Action", "Limit", "Refusal", "Unit"]

Unit = Literal["usd", "tokens", "calls"]
UNITS: tuple[Unit, ...] = ("usd", "tokens", "calls")

REQUEST = "request"
ALL = "all"
_DOWNGRADE = "downgrade:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a function at a limit is told before it grants more or does not.

    Attributes:
        scope: What the limit is on, such as `user` or `user+feature`.
        key: Which of them.
        window: The limit's window by name.
        unit: `usd`, `tokens` or `calls`, in which the three amounts are.
        limit: What is allowed, earlier grants included.
        committed: What is spent or set aside.
        requested: What the call may take.
        resets_at: When the window ends; None where it does not.
    """

    scope: str
    key: str
    window: str
    unit: Unit
    limit: Decimal | int
    committed: Decimal | int
    requested: Decimal | int
    resets_at: datetime | None


Action = str | Callable[[Refusal], Money | Awaitable[Money | None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The most that calls of one scope may take in one window.

    Attributes:
        scope: `user`, `feature`, `project`, `conversation`, `run`, the name of a tag, several of them
            together, `request` for every single call, or `all` for all calls together.
        usd: The most money. Of `usd`, `tokens` and `calls` at least one is given.
        tokens: The most tokens, input and output together.
        calls: The most calls.
        match: Whom the limit is for, such as `{"user_tier": "power"}`. Among limits of one scope, window and
            unit the one with most matching entries holds, of equals the smaller one.
        window: None, `minute`, `hour`, `day`, `week`, `month`, a timedelta or `rolling 24h`.
        timezone: IANA name of the zone whose calendar counts.
        alerts: Shares of the limit at which to tell, each once per window.
        action: At the limit: `refuse`; `downgrade:TIER` to let the call pass in a cheaper tier, which makes
            the limit a soft one; or a function that is given a `Refusal` and returns how much more to grant.
    """

    scope: str | tuple[str, ...] = field(kw_only=False)
    usd: Money | None = None
    tokens: int | None = None
    calls: int | None = None
    match: Mapping[str, str] = field(default_factory=dict, hash=False)
    window: str | timedelta | None = None
    timezone: str = "UTC"
    alerts: tuple[float, ...] = (0.8, 1.0)
    action: Action = "refuse"

    def __post_init__(self) -> None:
        names = (self.scope,) if isinstance(self.scope, str) else tuple(self.scope)
        object.__setattr__(self, "scope", names[0] if len(names) == 1 else names)
        object.__setattr__(self, "match", dict(self.match))
        object.__setattr__(self, "alerts", tuple(sorted(set(self.alerts))))
        self._check_scope(names)
        self._check_amounts()
        self._check_rest()
        Window(self.window, self.timezone)

    def _check_scope(self, names: tuple[str, ...]) -> None:
        if not names or len(set(names)) != len(names) or not all(isinstance(n, str) and n for n in names):
            raise ConfigurationError(f"scope must be a name or a tuple of distinct names, not {self.scope!r}")
        if len(names) > 1 and {REQUEST, ALL} & set(names):
            raise ConfigurationError(f"scopes 'request' and 'all' stand alone, not as in {self.scope!r}")
        if names == (REQUEST,) and self.window is not None:
            raise ConfigurationError(f"a limit on every request has no window, not {self.window!r}")

    def _check_amounts(self) -> None:
        if self.usd is None and self.tokens is None and self.calls is None:
            raise ConfigurationError(f"a limit on {self.scope!r} needs usd, tokens or calls; none was given")
        if self.usd is not None:
            nano_for_spend(self.usd)
            object.__setattr__(
                self, "usd", self.usd if isinstance(self.usd, Decimal) else Decimal(str(self.usd))
            )
        for name in ("tokens", "calls"):
            if (value := getattr(self, name)) is not None:
                whole(value, name)
        if self.scope == REQUEST and self.calls is not None:
            raise ConfigurationError(
                "a limit on every request counts usd or tokens; a request is always one call"
            )

    def _check_rest(self) -> None:
        for share in self.alerts:
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < math.inf:
                raise ConfigurationError(f"alerts must be shares above 0, such as 0.8, not {share!r}")
        for key, value in self.match.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise ConfigurationError(f"match must map strings to strings, not {key!r} to {value!r}")
        if not callable(self.action) and self.action != "refuse" and not self.downgrade_to:
            raise ConfigurationError(
                f"action must be 'refuse', 'downgrade:TIER' or a function, not {self.action!r}"
            )

    @property
    def downgrade_to(self) -> str | None:
        """The tier that calls beyond the limit go to; None where they do not pass."""
        if isinstance(self.action, str) and self.action.startswith(_DOWNGRADE):
            return self.action.removeprefix(_DOWNGRADE) or None
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The scope as a tuple."""
        return (self.scope,) if isinstance(self.scope, str) else self.scope

    def amount(self, unit: Unit) -> int | None:
        """Return the limit in a unit as a whole number, nano-dollars for `usd`; None where there is none."""
        if unit == "usd":
            return None if self.usd is None else nano_for_spend(self.usd)
        value: int | None = getattr(self, unit)
        return value
