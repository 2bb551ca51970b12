"""Times, amounts and names as logs write them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from tokenomics_core.types import Attribution, Usage
from tokenomics_core.usage import usage_from_openai

__all__ = [
    "Row",
    "amount_of",
    "attribution_of",
    "first_of",
    "json_of",
    "mapping_of",
    "named_time_of",
    "number_of",
    "ratio_of",
    "seconds_between",
    "text_of",
    "time_of",
    "usage_of_counts",
]

Row = Mapping[str, Any]

# Metadata is free text: these are the names that applications give to what `Attribution` tells apart.
_ROLES = {
    name: role
    for role, names in {
        "user": ("user", "user_id", "userid", "end_user", "end_user_id", "safety_identifier", "enduser.id"),
        "feature": ("feature", "feature_name", "use_case"),
        "project": ("project", "project_name", "application", "app", "app_name", "service.name"),
        "conversation": (
            *("conversation", "conversation_id", "conversationid", "session", "session_id", "sessionid"),
            *("thread", "thread_id", "threadid", "chat_id"),
        ),
        "run": ("run", "run_id", "runid", "trace_id", "traceid"),
    }.items()
    for name in names
}
_MAX_TAG = 200
"""Longer metadata is content, not a tag."""


def time_of(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """Read a time: ISO 8601, or seconds, milli-, micro- or nanoseconds since 1970, told by their size.

    A time without a zone is one of `zone`.

    Raises:
        ValueError: There is something, and it is no time.
    """
    if value is None or value == "":
        return None
    if type(value) is str:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = _unusual_time_of(value)
    elif isinstance(value, datetime):
        at = value
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _since_1970(value)
    else:
        raise ValueError(f"{value!r:.60} is no time")
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def _unusual_time_of(text: str) -> datetime:
    stripped = text.strip()
    try:
        return _since_1970(Decimal(stripped))
    except (ArithmeticError, ValueError):
        pass
    for suffix in (" UTC", "UTC", " Z"):
        if stripped.endswith(suffix):
            stripped = stripped.removesuffix(suffix) + "+00:00"
            break
    try:
        return datetime.fromisoformat(stripped)
    except ValueError:
        raise ValueError(f"{text!r:.60} is no time") from None


def _since_1970(number: float | Decimal) -> datetime:
    exact = Decimal(str(number))
    if not 10**8 <= exact < 10**20:
        raise ValueError(f"{number!r:.60} is no time")
    scale = next(scale for scale in (1, 10**3, 10**6, 10**9) if exact < scale * 10**11)
    whole, part = divmod(exact, scale)
    return datetime.fromtimestamp(int(whole), UTC) + timedelta(microseconds=int(part * 1_000_000 / scale))


def named_time_of(source: Row, *names: str) -> datetime | None:
    """Read the first of the named fields that holds anything as a time."""
    for name in names:
        value = source.get(name)
        if value is not None and value != "":
            return time_of(value)
    return None


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from start to end; None where either is unknown or they are the wrong way round."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def amount_of(value: Any) -> Decimal | None:
    """Read an amount of money of 0 or more; None where there is none."""
    if value == "" or isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(value.strip().removeprefix("$") if isinstance(value, str) else str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def number_of(value: Any) -> float | None:
    """Read a finite number, such as a duration; None where there is none."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def ratio_of(value: Any) -> float | None:
    """Read a score from 0 to 1; yes and no count as 1 and 0, anything else as unknown."""
    if isinstance(value, bool):
        return float(value)
    number = number_of(value)
    return number if number is not None and 0 <= number <= 1 else None


def text_of(value: Any) -> str | None:
    """Return a name or id as text; None where there is none."""
    if type(value) is str:
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def first_of(source: Row, *names: str) -> Any:
    """Return the first of the named fields that holds anything."""
    for name in names:
        value = source.get(name)
        if value is not None and value != "":
            return value
    return None


def json_of(value: Any) -> Any:
    """Return what a cell holds: JSON inside text is read, anything else stays as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def mapping_of(value: Any) -> Row:
    """Return a mapping, also out of JSON in text; an empty one where there is none."""
    value = json_of(value)
    return value if isinstance(value, Mapping) else {}


def attribution_of(sources: Iterable[Row], **known: str | None) -> Attribution:
    """Tell who a call was for.

    Args:
        sources: Free metadata, the most telling first: what it calls `user_id`, `feature`, `session_id` and
            so on fills what is not known yet, and its other short values become tags.
        known: What the log tells in fields of its own.
    """
    found = {role: value for role, value in known.items() if value}
    tags: dict[str, str] = {}
    for source in sources:
        for name, value in source.items():
            text = value if type(value) is str else text_of(value)
            if text is None and isinstance(value, bool):
                text = str(value).lower()
            if not text or len(text) > _MAX_TAG:
                continue
            role = _ROLES.get(name) or _ROLES.get(name.lower())
            if role is None:
                tags.setdefault(name, text)
            elif role not in found:
                found[role] = text
    return Attribution(**found, tags=tags)


def usage_of_counts(
    *,
    input_tokens: Any = None,
    output_tokens: Any = None,
    cache_read_tokens: Any = None,
    cache_write_tokens: Any = None,
    cache_write_5m_tokens: Any = None,
    cache_write_1h_tokens: Any = None,
    reasoning_tokens: Any = None,
    uncached_input_tokens: Any = None,
    service_tier: str | None = None,
    batch: bool = False,
) -> Usage:
    """Put counts of separate fields together, mended where they cannot be true.

    `input_tokens` is all input, the cache included; `uncached_input_tokens` is the input without cache reads
    and writes, for logs that tell that instead.
    """
    if input_tokens is None and (fresh := number_of(uncached_input_tokens)) is not None:
        parts = (number_of(value) or 0 for value in (cache_read_tokens, cache_write_tokens))
        input_tokens = fresh + sum(parts)
    usage = usage_from_openai(
        {
            "usage": {
                "prompt_tokens": input_tokens,
                "completion_tokens": output_tokens,
                "prompt_tokens_details": {
                    "cached_tokens": cache_read_tokens,
                    "cache_write_tokens": cache_write_tokens,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": cache_write_5m_tokens,
                        "ephemeral_1h_input_tokens": cache_write_1h_tokens,
                    },
                },
                "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
            },
            "service_tier": service_tier,
        }
    )
    if usage is None:
        return Usage(batch=batch) if batch else _NO_USAGE
    return replace(usage, batch=True) if batch else usage


_NO_USAGE = Usage()
