"""Answers in the shape that a caller insists on: JSON by a schema, or a call of a tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from examples.provider.exchange import ProviderRequest, Tool, ToolCall
from examples.provider.passages import Prompt

__all__ = ["as_json", "as_tool_call", "wanted_tool"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def wanted_tool(request: ProviderRequest, prompt: Prompt) -> Tool | None:
    """Return the tool to call: one that is demanded, or the first where there is nothing to read."""
    if not request.tools or request.tool_choice == "none":
        return None
    by_name = {tool.name: tool for tool in request.tools}
    if request.tool_choice in by_name:
        return by_name[request.tool_choice]
    if request.tool_choice in {"required", "any"}:
        return request.tools[0]
    has_result = any(turn.role == "tool" for turn in request.turns)
    return None if has_result or any(passage.heading for passage in prompt.passages) else request.tools[0]


def as_tool_call(tool: Tool, question: str) -> ToolCall:
    """Fill a tool's arguments with what the question offers."""
    return ToolCall(name=tool.name, arguments=json.dumps(_fill(tool.parameters, question, tool.parameters)))


def as_json(text: str, schema: Mapping[str, Any] | None) -> str:
    """Pour an answer into a schema: texts get the answer, numbers the first number in it."""
    if schema is None:
        return json.dumps({"answer": text})
    return json.dumps(_fill(schema, text, schema))


def _fill(schema: Mapping[str, Any], text: str, root: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return _fill((root.get("$defs") or root.get("definitions") or {})[name], text, root)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _fill(schema[choice][0], text, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next((one for one in schema["enum"] if str(one).lower() in text.lower()), schema["enum"][0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        fields = schema.get("properties") or {}
        return {name: _fill(field, text, root) for name, field in fields.items()}
    if kind == "array":
        return [_fill(schema.get("items") or {"type": "string"}, text, root)]
    return _scalar(kind, text)


def _scalar(kind: str, text: str) -> str | float | int | bool | None:
    found = _NUMBER.search(text)
    if kind == "integer":
        return int(float(found[0])) if found else 0
    if kind == "number":
        return float(found[0]) if found else 0.0
    if kind == "boolean":
        return not re.search(r"\b(?:not?|never|false)\b", text.lower())
    return None if kind == "null" else text
