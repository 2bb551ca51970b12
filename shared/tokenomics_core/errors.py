"""Every error of the package, in one tree.

    TokenomicsError
    ├── BudgetExceededError      a call would pass a limit; it was not sent
    ├── UnknownModelError        no price is known; nothing was guessed
    ├── StoreError               a ledger, budget or cache store could not be used
    ├── ConfigurationError       a setting is wrong (also a ValueError)
    └── MissingExtraError        an optional package is absent (also an ImportError)

Each carries the values a handler needs and survives pickling: the constructor takes exactly `args`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "BudgetExceededError",
    "ConfigurationError",
    "MissingExtraError",
    "StoreError",
    "TokenomicsError",
    "UnknownModelError",
]


class TokenomicsError(Exception):
    """Base of all errors that this package raises on purpose."""


class BudgetExceededError(TokenomicsError):
    """A call would pass a spending limit; it was not sent and nothing was set aside."""

    def __init__(
        self,
        scope: str,
        key: str,
        window: str,
        unit: str,
        limit: Decimal | int,
        committed: Decimal | int,
        requested: Decimal | int,
        rule: str = "limit",
    ) -> None:
        super().__init__(scope, key, window, unit, limit, committed, requested, rule)
        self.scope, self.key, self.window, self.unit = scope, key, window, unit
        self.limit, self.committed, self.requested, self.rule = limit, committed, requested, rule

    def __str__(self) -> str:
        return (
            f"budget of {self.scope} {self.key!r} ({self.window}) allows {self.limit} {self.unit}; "
            f"{self.committed} {self.unit} is committed and the call may take {self.requested} more "
            f"(rule: {self.rule}); the call was not sent"
        )


class UnknownModelError(TokenomicsError, LookupError):
    """No price is known for a model; no cost was computed and none was guessed."""

    def __init__(self, model: str, provider: str | None = None) -> None:
        super().__init__(model, provider)
        self.model, self.provider = model, provider

    def __str__(self) -> str:
        at = f" at provider {self.provider!r}" if self.provider else ""
        return (
            f"no price is known for model {self.model!r}{at}; no cost was computed. "
            "Add it with PriceBook(overrides=...) or name the model behind it with PriceBook(aliases=...)"
        )


class StoreError(TokenomicsError):
    """A store could not be read or written; the message says what did not happen."""

    def __init__(self, store: str, problem: str) -> None:
        super().__init__(store, problem)
        self.store, self.problem = store, problem

    def __str__(self) -> str:
        return f"{self.store}: {self.problem}"


class ConfigurationError(TokenomicsError, ValueError):
    """A setting or argument is wrong; the message quotes it."""


class MissingExtraError(TokenomicsError, ImportError):
    """An optional package is not installed; the message names the line that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package, self.extra = package, extra
        self.name = package

    def __str__(self) -> str:
        return f"{self.package} is not installed; run: pip install 'token-economics[{self.extra}]'"
