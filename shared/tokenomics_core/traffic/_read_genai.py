"""Read a call out of a span of OpenTelemetry's GenAI conventions, present and older ones.

Sources: the attributes of opentelemetry-semantic-conventions and
https://github.com/open-telemetry/semantic-conventions-genai (messages as attributes, parts inside messages);
up to 1.36 messages were events of the span, before that `gen_ai.prompt` and `gen_ai.completion`, which
OpenLLMetry still numbers (`gen_ai.prompt.0.content`). Input tokens include what the cache read or wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, Answer, answer_of
from tokenomics_core.traffic._read_attributes import at_path
from tokenomics_core.traffic._read_content import messages_of, tools_of
from tokenomics_core.traffic._read_span_facts import SpanFacts, attribution_of_span
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    json_of,
    seconds_between,
    text_of,
    usage_of_counts,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Usage

__all__ = ["read_genai", "read_genai_event"]

_USAGE = "gen_ai.usage."
_OPERATIONS = {
    "text_completion": "completion",
    "completion": "completion",
    "embeddings": "embedding",
    "embedding": "embedding",
}
_NO_CALLS = {"execute_tool", "create_agent", "create_thread", "retrieval"}
_SETTINGS = {
    **{
        name: name
        for name in (
            *("temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty", "seed"),
            "reasoning_effort",
        )
    },
    "stop_sequences": "stop",
    "choice.count": "n",
}
_MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


def read_genai(facts: SpanFacts) -> TrafficRecord | None:
    """Return the call, or None where the span is none."""
    operation = text_of(facts.get("gen_ai.operation.name"))
    model = text_of(facts.first("gen_ai.response.model", "gen_ai.request.model"))
    if model is None or operation in _NO_CALLS or facts.start is None:
        return None
    usage = _usage_of(facts)
    if operation is not None and operation.startswith("invoke_") and not usage.is_reported:
        return None
    answer = _answer_of(facts)
    reasons = facts.get("gen_ai.response.finish_reasons")
    reason = reasons[0] if isinstance(reasons, list) and reasons else reasons
    return TrafficRecord(
        at=facts.start,
        model=model,
        usage=usage,
        messages=_messages_of(facts),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of({"tools": facts.first("gen_ai.tool.definitions", "gen_ai.request.tools")}),
        settings=_settings_of(facts),
        cost_usd=_cost_of(facts),
        provider=text_of(facts.first("gen_ai.provider.name", "gen_ai.system")),
        attribution=attribution_of_span(facts),
        operation=_OPERATIONS.get(operation or "", "chat"),
        outcome="error" if facts.has_failed else "ok",
        finish_reason=text_of(reason) or answer.finish_reason,
        error=facts.error,
        latency_s=seconds_between(facts.start, facts.end),
        id=facts.id,
        parent=facts.parent,
        where=facts.where,
    )


def read_genai_event(facts: SpanFacts) -> tuple[tuple[Row, ...], Answer | None]:
    """Return the messages and the answer that the events of a span, sent apart from it, tell of."""
    messages, answer = _messages_of(facts), _answer_of(facts)
    return messages or (), None if answer == NOTHING_SAID else answer


def _usage_of(facts: SpanFacts) -> Usage:
    def count(*names: str) -> Any:
        return facts.first(*(_USAGE + name for name in names))

    return usage_of_counts(
        input_tokens=count("input_tokens", "prompt_tokens"),
        output_tokens=count("output_tokens", "completion_tokens"),
        cache_read_tokens=count(
            *("cache_read.input_tokens", "cache_read_input_tokens", "cache_read_tokens"),
            *("details.cache_read_tokens", "input_tokens.cached", "prompt_tokens_details.cache_read"),
        ),
        cache_write_tokens=count(
            *("cache_creation.input_tokens", "cache_write.input_tokens", "cache_creation_input_tokens"),
            *("cache_write_tokens", "details.cache_write_tokens", "prompt_tokens_details.cache_write"),
        ),
        reasoning_tokens=count(
            *("reasoning.output_tokens", "reasoning_tokens", "details.reasoning_tokens"),
            *("output_tokens.reasoning", "completion_tokens_details.reasoning"),
        ),
        service_tier=text_of(
            facts.first(
                *("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
                *("gen_ai.response.service_tier",),
            )
        ),
    )


def _cost_of(facts: SpanFacts) -> Any:
    told = facts.get("gen_ai.usage.cost")
    if isinstance(told, Mapping):
        currency = text_of(told.get("currency"))
        return amount_of(told.get("amount", told.get("total"))) if currency in {None, "USD"} else None
    return amount_of(told)


def _settings_of(facts: SpanFacts) -> dict[str, Any]:
    settings = {
        name: value
        for told, name in _SETTINGS.items()
        if (value := facts.get(f"gen_ai.request.{told}")) is not None
    }
    kind = facts.first("gen_ai.output.type", "gen_ai.openai.request.response_format")
    if kind is not None and kind not in {"text", "image", "speech"}:
        settings["response_format"] = kind
    return settings


def _messages_of(facts: SpanFacts) -> tuple[Row, ...] | None:
    details = _details_of(facts)
    told = facts.get("gen_ai.input.messages") or at_path(details, "gen_ai.input.messages")
    if told is None:
        told = facts.get("gen_ai.prompt")
    messages = messages_of(told) if told is not None else _messages_of_events(facts)
    system = facts.get("gen_ai.system_instructions") or at_path(details, "gen_ai.system_instructions")
    if system is not None:
        parts = json_of(system)
        first = messages_of([{"role": "system", "parts": parts if isinstance(parts, list) else [parts]}])
        return (*(first or ()), *(messages or ()))
    return messages


def _messages_of_events(facts: SpanFacts) -> tuple[Row, ...] | None:
    messages: list[Row] = []
    for name, values in facts.events:
        if name in _MESSAGE_EVENTS:
            body = _body_of(values)
            messages.append({"role": _MESSAGE_EVENTS[name], **body})
        elif name == "gen_ai.content.prompt" and (told := messages_of(at_path(values, "gen_ai.prompt"))):
            messages.extend(told)
    return messages_of(messages) if messages else None


def _answer_of(facts: SpanFacts) -> Answer:
    told = facts.get("gen_ai.output.messages") or at_path(_details_of(facts), "gen_ai.output.messages")
    if told is None:
        told = facts.get("gen_ai.completion")
    if told is not None:
        return answer_of(_first_choice(json_of(told)))
    for name, values in facts.events:
        if name == "gen_ai.choice":
            return answer_of({"choices": [_choice_of(_body_of(values))]})
        if name == "gen_ai.content.completion":
            return answer_of(_first_choice(json_of(at_path(values, "gen_ai.completion"))))
    return NOTHING_SAID


def _first_choice(told: Any) -> Any:
    return told[:1] if isinstance(told, list) else told


def _details_of(facts: SpanFacts) -> Mapping[str, Any]:
    return next(
        (values for name, values in facts.events if name == "gen_ai.client.inference.operation.details"), {}
    )


def _choice_of(body: Row) -> Row:
    message = body.get("message")
    return {**body, "message": message if isinstance(message, Mapping) else {"content": message, **body}}


def _body_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a message event says, wherever a version of the conventions put it."""
    for name in ("body", "event_data", "event.data", "gen_ai.event.content"):
        told = json_of(at_path(values, name) if "." in name else values.get(name))
        if isinstance(told, Mapping):
            return dict(told)
    return {name: json_of(value) for name, value in values.items() if name not in {"gen_ai", "event"}}
