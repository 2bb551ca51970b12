"""Read a call out of a span of OpenInference, which Phoenix and Arize keep.

Source: openinference-semantic-conventions 0.1.42. Prompt tokens include what the cache read or wrote, unless
the total says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, Answer, answer_of
from tokenomics_core.traffic._read_attributes import nested
from tokenomics_core.traffic._read_content import messages_of, messages_of_request, settings_of, tools_of
from tokenomics_core.traffic._read_span_facts import SpanFacts, attribution_of_span
from tokenomics_core.traffic._read_values import Row, amount_of, json_of, seconds_between, text_of
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Usage
from tokenomics_core.usage import usage_from_openai

__all__ = ["read_openinference"]

_OPERATIONS = {"LLM": "chat", "EMBEDDING": "embedding", "RERANKER": "rerank"}
_MODELS = {
    "LLM": ("llm.response.model_name", "llm.model_name", "llm.request.model_name"),
    "EMBEDDING": ("embedding.model_name",),
    "RERANKER": ("reranker.model_name",),
}
_NO_USAGE = Usage()


def read_openinference(facts: SpanFacts) -> TrafficRecord | None:
    """Return the call, or None where the span is none."""
    kind = str(facts.get("openinference.span.kind")).upper()
    model = text_of(facts.first(*_MODELS.get(kind, ()), *_MODELS["LLM"]))
    request = json_of(facts.get("input.value"))
    if model is None and kind in _OPERATIONS:  # a call that failed has no answer to name its model
        model = _model_asked_for(facts, request)
    if kind not in _OPERATIONS or model is None or facts.start is None:
        return None
    answer = _answer_of(facts)
    return TrafficRecord(
        at=facts.start,
        model=model,
        usage=_usage_of(facts),
        messages=_messages_of(facts, request),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=_tools_of(facts, request),
        settings=_settings_of(facts),
        cost_usd=amount_of(facts.get("llm.cost.total")),
        provider=text_of(facts.first("llm.provider", "llm.system")),
        attribution=attribution_of_span(facts),
        operation=_OPERATIONS[kind],
        outcome="error" if facts.has_failed else "ok",
        finish_reason=text_of(facts.get("llm.finish_reason")) or answer.finish_reason,
        error=facts.error,
        latency_s=seconds_between(facts.start, facts.end),
        id=facts.id,
        parent=facts.parent,
        where=facts.where,
    )


def _model_asked_for(facts: SpanFacts, request: Any) -> str | None:
    for told in (json_of(facts.get("llm.invocation_parameters")), request):
        if isinstance(told, Mapping) and (model := text_of(told.get("model"))) is not None:
            return model
    return None


def _usage_of(facts: SpanFacts) -> Usage:
    def count(name: str) -> Any:
        value = facts.get(f"llm.token_count.{name}")
        return None if isinstance(value, Mapping) else value

    read = count("prompt_details.cache_read")
    usage = usage_from_openai(
        {
            "usage": {
                "prompt_tokens": count("prompt"),
                "completion_tokens": count("completion"),
                "total_tokens": count("total"),
                "prompt_tokens_details": {
                    "cached_tokens": count("prompt_details.cache_input") if read is None else read,
                    "cache_write_tokens": count("prompt_details.cache_write"),
                    "audio_tokens": count("prompt_details.audio"),
                },
                "completion_tokens_details": {
                    "reasoning_tokens": count("completion_details.reasoning"),
                    "audio_tokens": count("completion_details.audio"),
                },
            }
        }
    )
    return _NO_USAGE if usage is None else usage


def _messages_of(facts: SpanFacts, request: Any) -> tuple[Row, ...] | None:
    told = json_of(facts.get("llm.input_messages"))
    if isinstance(told, list) and told:
        return messages_of([_message_of(item) for item in told if isinstance(item, Mapping)])
    prompts = json_of(facts.get("llm.prompts"))
    if isinstance(prompts, list) and prompts:
        return messages_of([_prompt_of(prompt) for prompt in prompts])
    texts = json_of(facts.get("embedding.embeddings"))
    if isinstance(texts, list) and texts:
        return messages_of([str((item.get("embedding") or item).get("text", "")) for item in texts])
    if isinstance(request, Mapping):
        return messages_of_request(request)
    return None if request is None else messages_of(request)


def _prompt_of(prompt: Any) -> str:
    inner = prompt.get("prompt", prompt) if isinstance(prompt, Mapping) else prompt
    return str(inner.get("text", "")) if isinstance(inner, Mapping) else str(inner)


def _answer_of(facts: SpanFacts) -> Answer:
    told = json_of(facts.get("llm.output_messages"))
    if isinstance(told, list) and told and isinstance(told[0], Mapping):
        return answer_of({"choices": [{"message": _message_of(told[0])}]})
    value = json_of(facts.get("output.value"))
    return NOTHING_SAID if value is None else answer_of(value)


def _message_of(item: Row) -> Row:
    item = nested(item)  # data frames keep `message.role` inside the list
    told = item["message"] if isinstance(item.get("message"), Mapping) else item
    contents = told.get("contents")
    content = [_part_of(part) for part in contents] if isinstance(contents, list) else told.get("content")
    message: dict[str, Any] = {"role": told.get("role") or "user", "content": content}
    if calls := list(_calls_of(told)):
        message["tool_calls"] = calls
    for name in ("name", "tool_call_id"):
        if told.get(name):
            message[name] = told[name]
    return message


def _part_of(part: Any) -> Any:
    told = part.get("message_content", part) if isinstance(part, Mapping) else part
    if not isinstance(told, Mapping):
        return {"type": "text", "text": str(told)}
    image = told.get("image")
    if isinstance(image, Mapping):
        inner = image.get("image", image)
        return {
            "type": "image_url",
            "image_url": {"url": inner.get("url") if isinstance(inner, Mapping) else None},
        }
    return {"type": told.get("type") or "text", "text": told.get("text") or ""}


def _calls_of(told: Row) -> Iterator[Row]:
    for item in told.get("tool_calls") or ():
        call = item.get("tool_call", item) if isinstance(item, Mapping) else {}
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            arguments = function.get("arguments")
            yield {
                "id": call.get("id") or "",
                "type": "function",
                "function": {"name": function.get("name") or "", "arguments": arguments or "{}"},
            }


def _tools_of(facts: SpanFacts, request: Any) -> tuple[Row, ...]:
    told = json_of(facts.get("llm.tools"))
    if isinstance(told, list) and told:
        schemas = [_schema_of(item) for item in told]
        return tools_of({"tools": [schema for schema in schemas if isinstance(schema, Mapping)]})
    return tools_of(request) if isinstance(request, Mapping) else ()


def _schema_of(item: Any) -> Any:
    told = item.get("tool", item) if isinstance(item, Mapping) else item
    return json_of(told.get("json_schema", told)) if isinstance(told, Mapping) else json_of(told)


def _settings_of(facts: SpanFacts) -> dict[str, Any]:
    told = json_of(facts.get("llm.invocation_parameters"))
    return settings_of(told) if isinstance(told, Mapping) else {}
