"""Read a logged request as the adapters read the one that a framework is about to send."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tokenomics_core.budgets import CallShape
from tokenomics_core.cache import Answer, ChatRequest
from tokenomics_core.message_content import NEEDED_BY_PART, TEXT_PARTS
from tokenomics_core.routing import RouteRequest
from tokenomics_core.routing._harness import without_harness
from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Usage

__all__ = ["Asked", "Said", "asked_of", "said_of", "text_of"]

_NEUTRAL: Final = frozenset(
    {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "max_retries"}
)
"""Sent along and not answered by; beside what the core's `KeyRule` leaves out itself."""

_TIERS: Final = frozenset({"flex", "priority", "fast"})
_BOUNDS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_SCHEMAS: Final = ("functions", "response_format", "text_format", "output_format", "output_config")
_SPEAKERS: Final = {"user": "human", "assistant": "ai"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, whichever model it goes to.

    Attributes:
        model: Which model is asked.
        provider: Who serves it.
        messages: What it is told, in OpenAI's shape.
        tools: What it is offered.
        settings: How it is asked.
        tenant: Who asks.
        conversation: Which dialogue it belongs to.
    """

    model: str
    provider: str | None
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    tenant: str | None = None
    conversation: str | None = None

    def for_cache(self, *, model: str | None) -> ChatRequest:
        """Return what a `KeyRule` reads."""
        settings = {name: value for name, value in self.settings.items() if name not in _NEUTRAL}
        return ChatRequest(
            messages=_plain_messages(self.messages),
            model=model,
            response_schema=settings.pop("response_format", None),
            settings=settings,
            tools=tuple(self.tools) or None,
            tenant=self.tenant,
        )

    def for_router(self, downgrade_to: str | None, options: Mapping[str, Any]) -> RouteRequest:
        """Return what a `Router` decides on."""
        place, question = _ask(self.messages)
        names = tuple(_tool_names(self.tools))
        schema = {"json_schema"} if self.settings.get("response_format") is not None else set()
        return RouteRequest(
            question=question,
            history=tuple(
                (_SPEAKERS.get(str(message.get("role")), str(message.get("role"))), text)
                for number, message in enumerate(self.messages)
                if number != place and (text := text_of(message))
            ),
            tools=names,
            needs=frozenset({*schema, *_needs(self.messages)}),
            max_output_tokens=self.output_bound,
            conversation=self.conversation,
            turn=_turn(self.messages, place, may_loop=bool(names)),
            downgrade_to=downgrade_to,
            **options,
        )

    def for_budgets(self, max_output_tokens: int) -> CallShape:
        """Return what a budget reserves the worst case of."""
        tier = self.settings.get("service_tier")
        return CallShape(
            model=self.model,
            provider=self.provider,
            input_tokens=self.input_tokens(),
            max_output_tokens=self.output_bound or max_output_tokens,
            answers=_whole(self.settings.get("n")) or 1,
            fit_output=False,
            audio="audio" in (self.settings.get("modalities") or ()),
            service_tier=tier if tier in _TIERS else None,
        )

    def input_tokens(self) -> int:
        """Count everything that is sent."""
        schemas = [self.settings[name] for name in _SCHEMAS if self.settings.get(name) is not None]
        told = list(self.messages)
        return int(count_tokens(told, self.model, provider=self.provider, tools=[*self.tools, *schemas]))

    @property
    def output_bound(self) -> int | None:
        """The longest answer that the request allows; the loosest bound where it names several."""
        return max((value for name in _BOUNDS if (value := _whole(self.settings.get(name)))), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What came back for a request, as far as a log tells.

    Attributes:
        text: What was said, and which tools were called, for comparing answers; None where that is unknown.
        usage: What it consumed.
        calls_tools: Whether it asks for tools.
        finish_reason: Why the model stopped.
        outcome: `ok` and how else a call can end.
        latency_s: How long it took.
        score: How good it was, by the log's own feedback.
    """

    text: str | None
    usage: Usage
    calls_tools: bool = False
    finish_reason: str | None = None
    outcome: str = "ok"
    latency_s: float | None = None
    score: float | None = None

    def for_cache(self, model: str, tenant: str | None) -> Answer | None:
        """Return what a cache would keep; None where there is nothing to keep."""
        if self.text is None or self.outcome != "ok":
            return None
        return Answer(
            payload=self.text,
            answer=self.text,
            usage=self.usage,
            model=model,
            tenant=tenant,
            finish_reason=None if self.finish_reason is None else self.finish_reason.lower(),
            has_tool_calls=self.calls_tools,
        )


def asked_of(record: TrafficRecord) -> Asked:
    """Read the request of a record; one without content has no messages."""
    return Asked(
        model=record.model,
        provider=record.provider,
        messages=record.messages or (),
        tools=record.tools,
        settings=record.settings,
        tenant=record.attribution.tags.get("tenant"),
        conversation=record.attribution.conversation,
    )


def said_of(record: TrafficRecord) -> Said:
    """Read the answer of a record."""
    calls = [
        json.dumps([name, arguments], sort_keys=True, default=str)
        for name, arguments, _ in _calls(record.tool_calls)
    ]
    has_answer = record.answer is not None or bool(calls)
    return Said(
        text="\n".join([*filter(None, [record.answer]), *calls]) if has_answer else None,
        usage=record.usage,
        calls_tools=bool(calls),
        finish_reason=record.finish_reason,
        outcome=record.outcome,
        latency_s=record.latency_s,
        score=record.score,
    )


def text_of(message: Mapping[str, Any]) -> str:
    """Return the words of a message; a tool's result inside a human's message is not the human's."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = [
        part if isinstance(part, str) else part.get("text")
        for part in content
        if isinstance(part, str) or (isinstance(part, Mapping) and part.get("type") in TEXT_PARTS)
    ]
    return "\n".join(part for part in parts if isinstance(part, str))


def _plain_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Keep of messages what a model sees; ids of tool calls, new each time, become their places."""
    places: dict[str, int] = {}
    return [_plain_message(message, places) for message in messages]


def _plain_message(message: Mapping[str, Any], places: dict[str, int]) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.get("role"), "content": _plain_content(message.get("content"))}
    if message.get("name"):
        plain["name"] = message["name"]
    if calls := message.get("tool_calls"):
        plain["tool_calls"] = [
            [name, arguments, _place(places, id_)] for name, arguments, id_ in _calls(calls)
        ]
    if message.get("tool_call_id"):
        plain["answers"] = _place(places, message["tool_call_id"])
    for name in ("function_call", "refusal"):
        if message.get(name):
            plain[name] = message[name]
    return plain


def _plain_content(content: Any) -> Any:
    """Return content without marks of prompt caches; one part of text is the text, and none is empty."""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return content or ""
    parts = [
        {key: value for key, value in part.items() if key != "cache_control"}
        if isinstance(part, Mapping)
        else part
        for part in content
    ]
    if len(parts) == 1 and isinstance(parts[0], Mapping) and set(parts[0]) == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _calls(calls: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any, str]]:
    """Yield name, arguments and id of tool calls."""
    for call in calls:
        inner = call.get("function")
        told = inner if isinstance(inner, Mapping) else call
        arguments = told.get("arguments", told.get("args"))
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError):
                arguments = json.loads(arguments)
        yield str(told.get("name", "")), arguments, str(call.get("id", ""))


def _place(places: dict[str, int], id_: object) -> int:
    return places.setdefault(str(id_), len(places))


def _ask(messages: Sequence[Mapping[str, Any]]) -> tuple[int | None, str]:
    """Return where the last ask of a human stands, and its text."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].get("role") in {"user", "human"}:
            text = without_harness(text_of(messages[place]))
            if text:
                return place, text
    return None, ""


def _turn(messages: Sequence[Mapping[str, Any]], place: int | None, *, may_loop: bool) -> str | None:
    """Name the ask where calls of tools may follow it: by all that leads up to it."""
    if place is None or not (may_loop or any(message.get("role") == "tool" for message in messages[place:])):
        return None
    digest = hashlib.blake2b(digest_size=16)
    for message in messages[: place + 1]:
        ids = "\x00".join(str(call.get("id")) for call in message.get("tool_calls") or ())
        told = f"{message.get('role')}\x00{text_of(message)}\x00{ids}\x00"
        digest.update(told.encode(errors="surrogatepass"))
    return digest.hexdigest()


def _tool_names(tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for tool in tools:
        inner = tool.get("function")
        name = (inner if isinstance(inner, Mapping) else tool).get("name") or tool.get("type")
        if isinstance(name, str):
            yield name


def _needs(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, Sequence) and not isinstance(content, str) else ():
            need = NEEDED_BY_PART.get(str(part.get("type"))) if isinstance(part, Mapping) else None
            if need is not None:
                yield need


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
