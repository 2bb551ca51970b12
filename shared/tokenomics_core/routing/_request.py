"""What is asked, as far as a router needs to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from tokenomics_core.errors import ConfigurationError

__all__ = ["RouteRequest", "last_ask"]

_HUMAN_ROLES = frozenset({"user", "human"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRequest:
    """One request, before a tier is chosen for it.

    Attributes:
        question: What the human asked last; tool results and text that a framework adds are not the ask.
        history: Earlier messages as (role, text).
        tools: Names of the tools on offer.
        needs: What the tier must be able to do: `tools`, `images`, `json_schema` ...
        language: Of the question, as a code such as `en`; None if unknown.
        input_tokens: Of the whole prompt; estimated from question and history if None.
        max_output_tokens: Most tokens that the answer may take; None for what answers usually take.
        task: What kind of task the caller says it is.
        max_cost_usd: Most that the call may be expected to cost, escalations included: at the longest answer
            where `max_output_tokens` is given, else at the usual length.
        quality_floor: Least chance of a good answer to accept, in [0, 1].
        conversation: Requests of the same one keep to their tier where a switch does not pay.
        turn: The human ask it belongs to; all calls of one ask, as in a tool loop, get one decision.
        begins_turn: Whether it is the first call of its ask: an earlier ask of the same name is another.
        around: Text that goes along and is neither question nor history, such as schemas of tools; it counts
            for the size of the prompt alone.
        current_tier: The tier whose prompt cache is warm.
        cached_tokens: How many input tokens that cache holds.
        downgrade_to: The dearest tier allowed, as a budget's `Limit` says.
    """

    question: str
    history: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    language: str | None = None
    input_tokens: int | None = None
    max_output_tokens: int | None = None
    task: str | None = None
    max_cost_usd: Decimal | None = None
    quality_floor: float | None = None
    conversation: str | None = None
    turn: str | None = None
    begins_turn: bool = False
    around: str = ""
    current_tier: str | None = None
    cached_tokens: int | None = None
    downgrade_to: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.question, str):
            raise ConfigurationError(f"question must be text, not {self.question!r:.80}; nothing was routed")
        object.__setattr__(self, "needs", frozenset(self.needs))
        if self.max_cost_usd is not None:
            self._read_max_cost()
        floor = self.quality_floor
        if floor is not None and not 0 <= floor <= 1:
            raise ConfigurationError(f"quality_floor must be in [0, 1], not {floor!r}; nothing was routed")
        for name in ("input_tokens", "max_output_tokens", "cached_tokens"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise ConfigurationError(
                    f"{name} must be a whole number of 0 or more, not {value!r:.80}; nothing was routed"
                )

    def _read_max_cost(self) -> None:
        raw = cast("object", self.max_cost_usd)  # callers may give text or a float
        try:
            amount = raw if isinstance(raw, Decimal) else Decimal(str(raw))
        except ArithmeticError:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            raise ConfigurationError(f"max_cost_usd must be 0 or more, not {raw!r}; nothing was routed")
        object.__setattr__(self, "max_cost_usd", amount)


def last_ask(messages: Iterable[tuple[str, str]]) -> str:
    """Return the text of the last message that a human wrote, "" if there is none.

    Args:
        messages: (role, text) in order; roles `user` and `human` are human.
    """
    ask = ""
    for role, text in messages:
        if role in _HUMAN_ROLES:
            ask = text
    return ask
