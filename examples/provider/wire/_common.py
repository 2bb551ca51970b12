"""What the wire formats share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from examples.provider.exchange import (
    ProviderAnswer,
    ProviderError,
    ProviderRequest,
    TokenLogprob,
    Tool,
)

__all__ = [
    "Event",
    "Stamp",
    "Wire",
    "as_list",
    "as_text",
    "cut_json",
    "parse_json",
    "pieces_of",
    "read_tool",
    "render_logprobs",
    "require",
    "whole_number",
]

_WORDS = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+$")


class Event(NamedTuple):
    """One server-sent event; data that is text is sent as it is."""

    name: str | None
    data: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes two equal answers different: an id and a time in whole seconds."""

    uid: str
    created: int


@dataclass(frozen=True, slots=True)
class Wire:
    """A wire format as four plain functions.

    Attributes:
        parse: Read a JSON body and headers, or raise `ProviderError`.
        render: Write an answer as one JSON body.
        stream: Write an answer as events.
        error: Write an error as a JSON body.
        error_event: Write an error that comes in the middle of a stream.
    """

    parse: Callable[[Mapping[str, Any], Mapping[str, str]], ProviderRequest]
    render: Callable[[ProviderRequest, ProviderAnswer, Stamp], dict[str, Any]]
    stream: Callable[[ProviderRequest, ProviderAnswer, Stamp], Iterator[Event]]
    error: Callable[[ProviderError], dict[str, Any]]
    error_event: Callable[[ProviderError], Event]


def require(body: Mapping[str, Any], name: str) -> Any:
    """Return a field of the body, or refuse the request as providers do."""
    value = body.get(name)
    if value in (None, "", []):
        raise ProviderError(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter")
    return value


def whole_number(body: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these fields that is given, which must be a whole number of 1 or more."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if type(value) is not int or value < 1:
            raise ProviderError(400, f"Invalid value for '{name}': {value!r} is no whole number above 0.")
        return value
    return None


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, None as nothing, and anything else as a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def as_text(content: Any) -> str:
    """Join the text parts of a message's content, whichever format it came in."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = []
    for part in as_list(content):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping):
            texts.append(as_text(part.get("text", part.get("content"))))
    return "\n".join(text for text in texts if text)


def read_tool(spec: Mapping[str, Any]) -> Tool:
    """Read a tool's name, description and schema."""
    return Tool(
        name=str(spec.get("name", "")),
        description=str(spec.get("description") or ""),
        parameters=spec.get("parameters") or spec.get("input_schema") or {},
    )


def pieces_of(answer: ProviderAnswer, text: str, *, with_logprobs: bool = False) -> Iterable[str]:
    """Cut a text as it is streamed: as told, else by token where logprobs go along, else by word."""
    if answer.pieces is not None and text == answer.text:
        return answer.pieces
    tokens = [item.token for item in answer.logprobs]
    if with_logprobs and "".join(tokens) == text:
        return tokens
    return _WORDS.findall(text)


def cut_json(text: str) -> Iterator[str]:
    """Cut JSON arguments into pieces of a size that splits words, as providers do."""
    for start in range(0, len(text), 12):
        yield text[start : start + 12]


def render_logprobs(logprobs: Iterable[TokenLogprob], top: int) -> list[dict[str, Any]]:
    """Write log probabilities as both OpenAI formats have them."""
    return [
        {
            "token": item.token,
            "logprob": item.logprob,
            "bytes": list(item.token.encode()),
            "top_logprobs": [
                {"token": token, "logprob": logprob, "bytes": list(token.encode())}
                for token, logprob in item.top[:top]
            ],
        }
        for item in logprobs
    ]


def parse_json(raw: bytes) -> Mapping[str, Any]:
    """Parse a request body, which must be a JSON object."""
    try:
        body = json.loads(raw or b"{}")
    except ValueError as error:
        raise ProviderError(400, f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(body, dict):
        raise ProviderError(400, "The JSON body of your request must be an object.")
    return body
