"""Span attributes as nested values, whichever way an exporter flattened or wrapped them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenomics_core.traffic._read_values import Row, json_of

__all__ = ["at_path", "nested", "tags_of", "unwrapped", "value_of"]

_WRAPPERS = {
    "stringValue": str,
    "string_value": str,
    "boolValue": bool,
    "bool_value": bool,
    "intValue": int,
    "int_value": int,
    "doubleValue": float,
    "double_value": float,
}


def unwrapped(pairs: Any) -> dict[str, Any]:
    """Return OTLP's list of keys and wrapped values, or a plain mapping, as a mapping of plain values."""
    if isinstance(pairs, Mapping):
        return dict(pairs)
    if not isinstance(pairs, Sequence) or isinstance(pairs, str):
        return {}
    return {pair["key"]: value_of(pair.get("value")) for pair in pairs if isinstance(pair, Mapping)}


def value_of(value: Any) -> Any:
    """Return the plain value that OTLP wrapped with the name of its type."""
    if not isinstance(value, Mapping):
        return value
    for name, kind in _WRAPPERS.items():
        if name in value:
            return kind(value[name])  # 64-bit numbers come as text
    for name in ("arrayValue", "array_value"):
        if name in value:
            return [value_of(item) for item in (value[name] or {}).get("values") or ()]
    for name in ("kvlistValue", "kvlist_value"):
        if name in value:
            return unwrapped((value[name] or {}).get("values") or ())
    return value.get("bytesValue", value.get("bytes_value"))


def nested(flat: Row) -> dict[str, Any]:
    """Return dotted names as mappings inside mappings, and runs of numbers among them as lists.

    A name that is both a value and the beginning of longer names keeps the longer ones.
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None:
            continue
        *path, last = name.split(".")
        node = tree
        for part in path:
            inner = node.get(part)
            if not isinstance(inner, dict):
                inner = node[part] = {}
            node = inner
        if isinstance(node.get(last), dict) and not isinstance(value, Mapping):
            continue
        node[last] = value
    return {name: _with_lists(value) for name, value in tree.items()}


def _with_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_with_lists(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if any("." in name for name in value if isinstance(name, str)):
        value = nested(value)
    if value and all(isinstance(name, str) and name.isdecimal() for name in value):
        return [_with_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _with_lists(inner) for name, inner in value.items()}


def at_path(tree: Any, path: str) -> Any:
    """Return what is at a dotted path; None where nothing is."""
    for part in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)
        if tree is None:
            return None
    return tree


def tags_of(labels: Any) -> dict[str, str]:
    """Return a list of labels as tags: `plan:free` and `plan=free` name a value, others are true."""
    labels = json_of(labels)
    if isinstance(labels, Mapping):
        return {
            str(name): str(value) for name, value in labels.items() if isinstance(value, str | int | float)
        }
    if not isinstance(labels, list | tuple):
        return {}
    tags: dict[str, str] = {}
    for label in labels:
        if not isinstance(label, str) or not label:
            continue
        for mark in (":", "="):
            name, found, value = label.partition(mark)
            if found and name.strip() and value.strip():
                tags[name.strip()] = value.strip()
                break
        else:
            tags[label] = "true"
    return tags
