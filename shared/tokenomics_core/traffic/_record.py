"""One call as a traffic log tells it: what was asked, what came back, for whom and at what price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Attribution, Usage

__all__ = ["TrafficRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRecord:
    """One call of a log, in one shape for every format; what the log does not tell is None or empty.

    Attributes:
        at: When the request was sent, with a time zone.
        model: The model as the log names it.
        usage: Token counts as the log reports them.
        messages: The request in the shape of OpenAI's chat messages (`role`, `content`, and where they are
            there `tool_calls`, `tool_call_id`, `name`); None where the log keeps no content.
        answer: The text of the first choice; None where the log keeps no content or the call gave none.
        tool_calls: The tool calls of the answer in OpenAI's shape.
        tools: The tools offered, in OpenAI's shape.
        settings: Request parameters by OpenAI's names: `temperature`, `max_tokens`, `response_format` ...
        cost_usd: What the log says that the call cost; None where it says nothing.
        provider: Who served it.
        attribution: Who the call was for.
        operation: `chat`, `completion`, `embedding` ...
        source: `model` for a paid call, `cache` for an answer that cost nothing, `batch`.
        outcome: `ok`, `aborted`, `cancelled`, `error`.
        finish_reason: `stop`, `length`, `tool_calls` ... as the log names it.
        error: What went wrong, in the log's words.
        latency_s: Seconds from request to the end of the answer.
        score: How good the answer was by the log's own feedback, from 0 to 1.
        id: The log's own id of the call; may be empty.
        parent: The trace or parent span that the call belongs to.
        where: File and line or row, for messages about this record.
    """

    at: datetime
    model: str
    usage: Usage = field(default_factory=Usage)
    messages: Sequence[Mapping[str, Any]] | None = None
    answer: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    cost_usd: Decimal | None = None
    provider: str | None = None
    attribution: Attribution = field(default_factory=Attribution)
    operation: str = "chat"
    source: str = "model"
    outcome: str = "ok"
    finish_reason: str | None = None
    error: str | None = None
    latency_s: float | None = None
    score: float | None = None
    id: str = ""
    parent: str | None = None
    where: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ConfigurationError(f"a call's time needs a time zone, not {self.at!r}; it was not read")
        if not self.model:
            raise ConfigurationError("a call needs the name of its model; it was not read")
