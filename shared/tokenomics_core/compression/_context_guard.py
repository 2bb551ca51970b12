"""Notice that a context grows long before it is full, and make room in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tokenomics_core.compression._history import acompress_history, compress_history
from tokenomics_core.compression._history_report import CompressedHistory, HistoryReport, KeptMessage
from tokenomics_core.compression._turns import Message, check_messages
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

__all__ = ["ContextGuard", "ContextState"]


@dataclass(frozen=True, slots=True)
class ContextState:
    """How full a context is.

    Attributes:
        action: `none`, `warn`, or `compress`.
        tokens: Of the messages.
        share: Of the window, above 1 where they do not fit.
    """

    action: Literal["none", "warn", "compress"]
    tokens: int
    share: float


class ContextGuard:
    """Watches the share of a model's window that a conversation takes.

    Models read long contexts less well long before they refuse them. The guard warns at one share and
    compresses at another, down to a third that is well below: so there is room for many turns, and the
    provider's cached prefix is broken seldom.

    Args:
        window_tokens: What the model takes, less what its answer needs.
        warn_at: From which share of the window on to warn.
        compress_at: From which share on to compress.
        compress_to: Down to which share.
        on_warn: Is told the state whenever it is `warn` or `compress`.
        model: Whose tokens to count.
        tools: Schemas that are sent along.
        count: Counts the tokens of messages in another way.
    """

    def __init__(
        self,
        window_tokens: int,
        *,
        warn_at: float = 0.5,
        compress_at: float = 0.75,
        compress_to: float = 0.4,
        on_warn: Callable[[ContextState], None] | None = None,
        model: str | None = None,
        tools: Iterable[Any] | None = None,
        count: Callable[[Sequence[Message]], int] | None = None,
    ) -> None:
        if isinstance(window_tokens, bool) or not isinstance(window_tokens, int) or window_tokens < 1:
            raise ConfigurationError(f"window_tokens must be 1 or more, not {window_tokens!r}")
        if not 0 < warn_at <= compress_at <= 1 or not 0 < compress_to < compress_at:
            raise ConfigurationError(
                "shares must be 0 < warn_at <= compress_at <= 1 and 0 < compress_to < compress_at, not "
                f"warn_at={warn_at!r}, compress_at={compress_at!r}, compress_to={compress_to!r}"
            )
        self._window = window_tokens
        self._warn_at, self._compress_at, self._compress_to = warn_at, compress_at, compress_to
        self._on_warn = on_warn
        schemas = None if tools is None else list(tools)
        self._count = count or (lambda some: int(count_tokens(some, model, tools=schemas)))

    def check(self, messages: Iterable[Message]) -> ContextState:
        """Say how full the context is, and tell `on_warn` where it is fuller than it should be."""
        tokens = self._count(check_messages(messages))
        share = tokens / self._window
        state = ContextState(
            "compress" if share >= self._compress_at else "warn" if share >= self._warn_at else "none",
            tokens,
            share,
        )
        if state.action != "none" and self._on_warn is not None:
            self._on_warn(state)
        return state

    def apply(
        self, messages: Iterable[Message], query: str | None = None, **options: Any
    ) -> CompressedHistory:
        """Compress a conversation that is too full, and return any other as it is.

        Args:
            messages: As `compress_history` takes them.
            query: What is asked now.
            options: Handed on to `compress_history`.

        Raises:
            ConfigurationError: As `compress_history` does.
        """
        found = list(messages)
        state = self.check(found)
        if state.action != "compress":
            return _as_it_is(found, state.tokens)
        return compress_history(found, query, max_tokens=self._target, count=self._count, **options)

    async def aapply(
        self, messages: Iterable[Message], query: str | None = None, **options: Any
    ) -> CompressedHistory:
        """Do what `apply` does without blocking the event loop."""
        found = list(messages)
        state = self.check(found)
        if state.action != "compress":
            return _as_it_is(found, state.tokens)
        return await acompress_history(found, query, max_tokens=self._target, count=self._count, **options)

    @property
    def _target(self) -> int:
        return max(int(self._compress_to * self._window), 1)


def _as_it_is(messages: list[Message], tokens: int) -> CompressedHistory:
    kept = tuple(KeptMessage(place, "whole") for place in range(len(messages)))
    return CompressedHistory(messages, tokens, tokens, HistoryReport(tokens, tokens, tokens, kept))
