"""Read runs as LangSmith exports them; runs of models become calls, the others tell whose they are.

Source: https://docs.langchain.com/langsmith/run-data-format and the schemas of langsmith 0.15. Its
`session_id` is the tracing project; what it calls a thread is our conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tokenomics_core.traffic._read_answers import NOTHING_SAID, Answer, answer_of
from tokenomics_core.traffic._read_attributes import tags_of
from tokenomics_core.traffic._read_content import messages_of, messages_of_request, settings_of, tools_of
from tokenomics_core.traffic._read_spans import Span
from tokenomics_core.traffic._read_values import (
    Row,
    amount_of,
    attribution_of,
    first_of,
    json_of,
    mapping_of,
    named_time_of,
    ratio_of,
    seconds_between,
    text_of,
    usage_of_counts,
)
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution, Usage
from tokenomics_core.usage import is_langchain_cache_hit, usage_from_langchain

__all__ = ["looks_like_langsmith", "spans_of_langsmith"]

_CALLS = {"llm": "chat", "embedding": "embedding"}
_NO_TAGS = ("ls_", "LANGSMITH", "LANGCHAIN", "runtime", "sdk", "revision_id", "langgraph_", "checkpoint_ns")


def looks_like_langsmith(row: Row) -> bool:
    """Tell whether a row is a run."""
    return "run_type" in row


def spans_of_langsmith(row: Row, where: str) -> Iterator[Span]:
    """Yield the span of a run, with its call where it is one of a model, and those of the runs inside it.

    Raises:
        ValueError: It has no id, or a run of a model tells no time or names no model.
    """
    run_id = text_of(row.get("id")) or text_of(row.get("run_id"))
    if run_id is None:
        raise ValueError("a run has no id")
    who = _attribution_of(row)
    yield Span(
        trace=text_of(row.get("trace_id")) or run_id,
        id=run_id,
        parent=text_of(row.get("parent_run_id")),
        name=text_of(row.get("name")),
        record=_record_of(row, run_id, who, where) if row.get("run_type") in _CALLS else None,
        is_tool=row.get("run_type") == "tool",
        attribution=who,
    )
    for child in json_of(row.get("child_runs")) or ():
        if isinstance(child, Mapping):
            yield from spans_of_langsmith({"trace_id": row.get("trace_id") or run_id, **child}, where)


def _record_of(row: Row, run_id: str, who: Attribution, where: str) -> TrafficRecord:
    extra = mapping_of(row.get("extra"))
    metadata = mapping_of(extra.get("metadata"))
    parameters = mapping_of(extra.get("invocation_params"))
    inputs, outputs = mapping_of(row.get("inputs")), mapping_of(row.get("outputs"))
    message = _message_of(outputs)
    at = named_time_of(row, "start_time")
    if at is None:
        raise ValueError("it tells no time")
    model = _model_of(outputs, message, metadata, parameters, inputs)
    if model is None:
        raise ValueError("it names no model")
    error = text_of(row.get("error"))
    answer = _answer_of(outputs, message)
    request = {**parameters, **inputs}
    is_hit = is_langchain_cache_hit(message.get("usage_metadata"), outputs.get("llm_output"))
    return TrafficRecord(
        at=at,
        model=model,
        usage=_usage_of(row, outputs, message, metadata),
        messages=_messages_of(inputs),
        answer=answer.text,
        tool_calls=answer.tool_calls,
        tools=tools_of(request),
        settings=_settings_of(request, metadata),
        cost_usd=_cost_of(row, outputs),
        provider=text_of(metadata.get("ls_provider")),
        attribution=who,
        operation=_operation_of(row, metadata),
        source="cache" if is_hit else "model",
        outcome="ok" if error is None else "error",
        finish_reason=answer.finish_reason,
        error=error,
        latency_s=seconds_between(at, named_time_of(row, "end_time")),
        score=_score_of(row),
        id=run_id,
        parent=text_of(row.get("parent_run_id")),
        where=where,
    )


def _message_of(outputs: Row) -> Row:
    """Return the message that LangChain keeps among the outputs, as a plain mapping."""
    generations = outputs.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    told = generations.get("message") if isinstance(generations, Mapping) else outputs.get("message")
    told = told if isinstance(told, Mapping) else {}
    for name in ("kwargs", "data"):
        if isinstance(told.get(name), Mapping):
            return told[name]  # type: ignore[no-any-return]  # foreign JSON
    return told


def _model_of(outputs: Row, message: Row, metadata: Row, parameters: Row, inputs: Row) -> str | None:
    about = mapping_of(message.get("response_metadata"))
    return text_of(
        first_of(about, "model_name", "model")
        or first_of(outputs, "model", "model_name")
        or first_of(mapping_of(outputs.get("llm_output")), "model_name", "model")
        or first_of(metadata, "ls_model_name")
        or first_of(parameters, "model", "model_name")
        or first_of(inputs, "model")
    )


def _usage_of(row: Row, outputs: Row, message: Row, metadata: Row) -> Usage:
    for told in (
        message.get("usage_metadata"),
        outputs.get("usage_metadata"),
        metadata.get("usage_metadata"),
    ):
        usage = usage_from_langchain(
            told if isinstance(told, Mapping) else None,
            response_metadata=mapping_of(message.get("response_metadata")) or None,
            llm_output=mapping_of(outputs.get("llm_output")) or None,
        )
        if usage is not None:
            return usage
    before = mapping_of(row.get("prompt_token_details"))
    after = mapping_of(row.get("completion_token_details"))
    return usage_of_counts(
        input_tokens=row.get("prompt_tokens") or None,
        output_tokens=row.get("completion_tokens") or None,
        cache_read_tokens=before.get("cache_read"),
        cache_write_tokens=before.get("cache_creation"),
        reasoning_tokens=after.get("reasoning"),
    )


def _messages_of(inputs: Row) -> tuple[Row, ...] | None:
    if not inputs:
        return None
    prompts = inputs.get("prompts")
    if isinstance(prompts, list):
        return messages_of([{"role": "user", "content": str(prompt)} for prompt in prompts])
    if any(name in inputs for name in ("messages", "input", "prompt", "contents")):
        return messages_of_request(inputs)
    return messages_of(inputs)


def _answer_of(outputs: Row, message: Row) -> Answer:
    if not outputs:
        return NOTHING_SAID
    if message:
        told = answer_of({"type": "ai", **message})
        if told.finish_reason is None:
            generations = outputs.get("generations")
            while isinstance(generations, list) and generations:
                generations = generations[0]
            info = mapping_of(generations.get("generation_info")) if isinstance(generations, Mapping) else {}
            return Answer(told.text, told.tool_calls, text_of(info.get("finish_reason")))
        return told
    generations = outputs.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    if isinstance(generations, Mapping):
        return answer_of(generations)
    if isinstance(outputs.get("messages"), list):
        return answer_of(outputs["messages"])
    return answer_of(outputs)


def _settings_of(request: Row, metadata: Row) -> dict[str, Any]:
    held = ("prompts", "messages", "input", "_type", "stop_sequences", "model_name", "config")
    settings = settings_of({name: value for name, value in request.items() if name not in held})
    for told, name in (
        ("ls_temperature", "temperature"),
        ("ls_max_tokens", "max_tokens"),
        ("ls_stop", "stop"),
    ):
        if metadata.get(told) is not None:
            settings.setdefault(name, metadata[told])
    return settings


def _cost_of(row: Row, outputs: Row) -> Decimal | None:
    told = amount_of(row.get("total_cost"))
    if told is None:
        told = amount_of(mapping_of(outputs.get("usage_metadata")).get("total_cost"))
    return told


def _operation_of(row: Row, metadata: Row) -> str:
    if row.get("run_type") == "llm" and metadata.get("ls_model_type") in {"llm", "text"}:
        return "completion"
    return _CALLS[str(row["run_type"])]


def _score_of(row: Row) -> float | None:
    """Return the mean of the first feedback that lies between 0 and 1, that of users first."""
    told = mapping_of(row.get("feedback_stats"))
    for name in sorted(told, key=lambda name: ("user" not in name, name)):
        score = ratio_of(mapping_of(told[name]).get("avg"))
        if score is not None:
            return score
    return None


def _attribution_of(row: Row) -> Attribution:
    extra = mapping_of(row.get("extra"))
    parameters = mapping_of(extra.get("invocation_params"))  # LangChain repeats them in the metadata
    told = {
        name: value
        for name, value in mapping_of(extra.get("metadata")).items()
        if not name.startswith(_NO_TAGS) and name not in parameters and name not in {"trace_id", "run_id"}
    }
    labels = {name: value for name, value in tags_of(row.get("tags")).items() if not name.startswith("seq")}
    return attribution_of([told, labels], project=text_of(first_of(row, "session_name", "project_name")))
