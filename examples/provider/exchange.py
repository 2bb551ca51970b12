"""What passes between the wire and the engine, in one shape for every wire format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

__all__ = [
    "Api",
    "EmbeddingEngine",
    "EmbeddingRequest",
    "Engine",
    "FinishReason",
    "ProviderAnswer",
    "ProviderError",
    "ProviderRequest",
    "ProviderUsage",
    "Role",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Turn",
]

Api = Literal["chat", "responses", "messages"]
Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool that the caller offered.

    Attributes:
        name: The tool's name.
        arguments: Its arguments as JSON text; a mapping is written as JSON.
        id: The id that the tool's result must repeat; empty lets the wire format draw one.
    """

    name: str
    arguments: str | Mapping[str, Any] = "{}"
    id: str = ""

    @property
    def arguments_json(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of the request with its text parts joined; images and the like are left out."""

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the caller offers."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """Everything an engine may know: the request, and nothing else.

    Attributes:
        api: The wire format it came in.
        model: The model as the caller named it.
        turns: The messages; system instructions come first, whichever way they were sent.
        tools: Tools offered; those that a provider runs by itself (web search) are left out.
        tool_choice: `auto`, `none`, `required` or the name of the one tool that must be called.
        json_schema: The schema that the answer must meet, if any.
        json_mode: Whether the answer must be JSON of any shape.
        n: How many answers are wanted.
        max_output_tokens: The longest answer wanted, in tokens.
        stop: Texts that end the answer.
        stream: Whether the answer is streamed.
        include_usage: Whether a Chat Completions stream ends with the usage; the other formats always do.
        logprobs: Whether log probabilities are wanted.
        top_logprobs: How many alternatives per token are wanted with them.
        service_tier: The tier asked for.
        body: The parsed JSON body, for whatever has no field here.
        headers: The headers by lower-case name; those that hold a key are left out.
    """

    api: Api
    model: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    json_schema: Mapping[str, Any] | None = None
    json_mode: bool = False
    n: int = 1
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = True
    logprobs: bool = False
    top_logprobs: int = 0
    service_tier: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUsage:
    """What a call is said to have consumed; each wire format writes it in its own words.

    Attributes:
        input_tokens: All input, cache reads and writes included. Anthropic Messages reports
            the rest after both are taken off, as Anthropic does.
        output_tokens: All output, reasoning included.
        cache_read_tokens: Input read from the prompt cache.
        cache_write_5m_tokens: Input written to it for five minutes. The OpenAI formats
            know one kind of write and report the sum of both.
        cache_write_1h_tokens: Input written to it for an hour.
        reasoning_tokens: The part of the output that was hidden reasoning.
        input_audio_tokens: The part of the input that was audio.
        output_audio_tokens: The part of the output that was audio.
        service_tier: The tier that served the call, as the provider names it.
        cost_usd: A cost stated by the provider, as OpenRouter does in `usage.cost`.
        web_searches: Searches that the provider ran by itself.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    service_tier: str | None = None
    cost_usd: Decimal | None = None
    web_searches: int = 0

    @property
    def cache_write_tokens(self) -> int:
        """Both kinds of cache write together."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def uncached_input_tokens(self) -> int:
        """Input that was neither read from nor written to the prompt cache."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """The log probability of one token of the answer, and of its rivals."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """What an engine decides; how it travels is the wire format's business.

    Attributes:
        text: The answer.
        alternatives: The texts of the second and further choices where `n` is above 1; where
            there are too few, `text` is repeated.
        tool_calls: Tools to be called, after the text.
        thinking: Reasoning shown to the caller; only Anthropic Messages carries it.
        finish_reason: Why the answer ended; by default `tool_calls` where there are any, else `stop`.
        usage: What the call consumed; None makes the server report nothing, as some
            OpenAI-compatible servers do.
        model: The name that the server reports, such as a dated one; by default the name asked for.
        logprobs: Log probabilities, sent only to callers who asked for them.
        pieces: The text cut as it is to be streamed; by default one piece per word, or per
            token where log probabilities are sent.
        final_usage: What the last usage of an Anthropic stream repeats: all `totals`; the totals
            `with_split` by cache lifetime; `output_only`, with the input in `message_start` alone.
    """

    text: str = ""
    alternatives: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    finish_reason: FinishReason | None = None
    usage: ProviderUsage | None = field(default_factory=ProviderUsage)
    model: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    pieces: tuple[str, ...] | None = None
    final_usage: Literal["totals", "with_split", "output_only"] = "totals"

    @property
    def why_finished(self) -> FinishReason:
        """The reason stated, or the one that follows from the answer."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """What is to be embedded: texts, or texts that the client has already cut into token ids."""

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    base64: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class ProviderError(Exception):
    """A refusal that the caller sees as an HTTP error in its own wire format."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
    ) -> None:
        super().__init__(status, message, kind, code)
        self.status, self.message, self.kind, self.code = status, message, kind, code

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


class Engine(Protocol):
    """Whatever decides the answer. It is called from several threads at once."""

    def answer(self, request: ProviderRequest) -> ProviderAnswer:
        """Answer a request, or raise `ProviderError`."""


class EmbeddingEngine(Protocol):
    """Whatever embeds texts. It is called from several threads at once."""

    def embed(self, request: EmbeddingRequest) -> list[list[float]]:
        """Return one vector per input."""

    def count_tokens(self, text: str) -> int:
        """Count what a text is billed as."""
