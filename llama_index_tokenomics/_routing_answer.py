"""Read for a judge what a model answered, and say on the answer which route it came by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llama_index.core.base.llms.types import ChatResponse, CompletionResponse, ToolCallBlock
from pydantic import BaseModel

from tokenomics_core.routing import Answer
from tokenomics_core.usage import finish_reason_from_raw

__all__ = ["MARK", "answer_of", "answer_of_pieces", "marked"]

MARK: Final = "tokenomics_route"
"""The key in `additional_kwargs` of a routed answer; its value is `Route.as_metadata()`."""


def marked(response: Any, told: Mapping[str, Any]) -> Any:
    """Say on an answer, or a piece of one, which route it came by; an object of a schema stays as it is."""
    if isinstance(response, (ChatResponse, CompletionResponse)):
        response.additional_kwargs = {**(response.additional_kwargs or {}), MARK: dict(told)}
    return response


def answer_of(output: Any) -> Answer:
    """Read an answer, or an object of a schema."""
    return answer_of_pieces([output])


def answer_of_pieces(pieces: list[Any]) -> Answer:
    """Read an answer that came in pieces, each of which holds what came before."""
    last = pieces[-1] if pieces else None
    if isinstance(last, BaseModel) and not isinstance(last, (ChatResponse, CompletionResponse)):
        return Answer(text=last.model_dump_json(), schema_ok=True)
    if not isinstance(last, (ChatResponse, CompletionResponse)):
        return Answer(text="" if last is None else str(last))
    reasons = [reason for piece in pieces if (reason := finish_reason_from_raw(piece.raw)) is not None]
    return Answer(
        text=(last.message.content or "") if isinstance(last, ChatResponse) else last.text,
        logprobs=_logprobs(pieces),
        finish_reason=reasons[-1] if reasons else None,
        tool_calls=_tools(last) if isinstance(last, ChatResponse) else (),
    )


def _tools(response: ChatResponse) -> tuple[str, ...]:
    return tuple(block.tool_name for block in response.message.blocks if isinstance(block, ToolCallBlock))


def _logprobs(pieces: Iterable[Any]) -> tuple[float, ...] | None:
    """Read the chances of tokens as OpenAI-style providers send them; LlamaIndex keeps alternatives only."""
    found: list[float] = []
    for piece in pieces:
        choices = getattr(piece.raw, "choices", None) or ()
        told = getattr(choices[0], "logprobs", None) if choices else None
        values = [getattr(token, "logprob", None) for token in getattr(told, "content", None) or ()]
        found += [float(value) for value in values if isinstance(value, (int, float))]
    return tuple(found) or None
