"""Read foreign payloads, mappings and objects alike, without ever raising."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from numbers import Integral
from typing import Any

__all__ = ["count_of", "field_of", "has_field", "items_of", "note_problem", "sum_known", "text_of"]

_logger = logging.getLogger("tokenomics_core.usage")
_noted: set[str] = set()
_noted_lock = threading.RLock()
_MAX_DIGITS = 18


def field_of(source: Any, *names: str) -> Any:
    """Return the first of the named fields that is present and not None."""
    if source is None:
        return None
    if type(source) is dict or isinstance(source, Mapping):  # the first spares most calls the slow second
        for name in names:
            value = source.get(name)
            if value is not None:
                return value
        return None
    for name in names:
        value = getattr(source, name, None)
        if value is not None:
            return value
    return None


def has_field(source: Any, *names: str) -> bool:
    """Tell whether any of the named fields exists, be its value None."""
    if type(source) is dict or isinstance(source, Mapping):
        return any(name in source for name in names)
    return any(hasattr(source, name) for name in names)


def text_of(source: Any, *names: str) -> str | None:
    """Return the first of the named fields that holds a non-empty string; enumerations give their value."""
    for name in names:
        value = field_of(source, name)
        value = getattr(value, "value", value)
        if isinstance(value, str) and value:
            return value
    return None


def items_of(source: Any, *names: str) -> list[Any]:
    """Return the first of the named fields that is a list or tuple, or an empty list."""
    for name in names:
        value = field_of(source, name)
        if isinstance(value, (list, tuple)):
            return list(value)
    return []


def count_of(source: Any, *names: str) -> int | None:
    """Return the first of the named fields that holds a usable count.

    Some gateways send counts as floats or strings; those that are whole numbers of 0 or more are
    taken. Anything else is unknown, which is None and never 0, and is noted once in the log.
    """
    for name in names:
        value = field_of(source, name)
        if type(value) is int and value >= 0:
            return value
        if value is None:
            continue
        number = _whole_number(value)
        if number is not None:
            return number
        note_problem("count", f"{name}={value!r:.60} is no token count; treated as not reported")
    return None


def sum_known(*counts: int | None) -> int | None:
    """Add what is known; None where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def note_problem(kind: str, message: str) -> None:
    """Log a payload that had to be mended: the first of each kind as a warning, the rest for debugging."""
    with _noted_lock:
        first = kind not in _noted
        _noted.add(kind)
    _logger.log(logging.WARNING if first else logging.DEBUG, "provider usage mended (%s): %s", kind, message)


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (Integral, float, str, Decimal)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or number < 0 or number.adjusted() > _MAX_DIGITS or number % 1:
        return None
    return int(number)
