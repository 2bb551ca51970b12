"""Cut the context of a logged prompt as it would have been cut before the prompt was made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic._replay_messages import Asked, text_of
from tokenomics_core.traffic._simulate_plan import Compression

__all__ = ["shortened"]

_LEAST_PARAGRAPHS = 3
_BLANK = "\n\n"
_ROOM = 0.8
"""Down to which share of their room the adapters cut a conversation; their `compress_to`."""


def shortened(asked: Asked, plan: Compression) -> Asked:
    """Return a request with less context in it; the same object where there is nothing to cut."""
    messages: Sequence[Mapping[str, Any]] = asked.messages
    if plan.documents is not None:
        messages = _with_less_context(messages, plan.documents, plan.template)
    if plan.history is not None:
        messages = _with_less_history(messages, plan.history)
    return asked if messages is asked.messages else replace(asked, messages=messages)


def _with_less_context(
    messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any], template: str | None
) -> Sequence[Mapping[str, Any]]:
    """Compress the passages of each message that holds some."""
    asks = [text_of(message) for message in messages if message.get("role") == "user"]
    last = asks[-1] if asks else ""
    changed: dict[int, dict[str, Any]] = {}
    for place, message in enumerate(messages):
        content = message.get("content")
        if not isinstance(content, str) or message.get("role") not in {"user", "system", "developer"}:
            continue
        found = _by_template(content, template) if template is not None else _by_paragraphs(content, message)
        if found is None:
            continue
        before, context, after, question = found
        kept = _kept(context, question or last, options)
        if kept != context:
            changed[place] = {**message, "content": f"{before}{kept}{after}"}
    if not changed:
        return messages
    return [changed.get(place, message) for place, message in enumerate(messages)]


def _kept(context: str, question: str, options: Mapping[str, Any]) -> str:
    from tokenomics_core.compression import compress  # noqa: PLC0415 - loads numpy

    separator = options.get("separator", _BLANK)
    return str(separator).join(
        document.text for document in compress(context.split(separator), question, **options).documents
    )


def _by_template(content: str, template: str) -> tuple[str, str, str, str | None] | None:
    """Find context and question where the template has them; None where the message is written otherwise."""
    found = _pattern_of(template).fullmatch(content)
    if found is None:
        return None
    start, end = found.span("context")
    question = found["question"] if "question" in found.re.groupindex else None
    return content[:start], found["context"], content[end:], question


@lru_cache(maxsize=64)
def _pattern_of(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    pattern, seen = "", set[str]()
    for place, part in enumerate(parts):
        if place % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            # Greedy for the context: what separates it from the question may stand in a passage, too.
            pattern += f"(?P<{part}>.*)" if part == "context" else f"(?P<{part}>.*?)"
            seen.add(part)
    return re.compile(pattern, re.DOTALL)


def _by_paragraphs(content: str, message: Mapping[str, Any]) -> tuple[str, str, str, str | None] | None:
    """Take a user's message of several paragraphs for passages, the last paragraph for the question."""
    if message.get("role") != "user":
        return None
    context, blank, question = content.rpartition(_BLANK)
    if not blank or context.count(_BLANK) + 2 < _LEAST_PARAGRAPHS or not question.strip():
        return None
    return "", context, f"{blank}{question}", question


def _with_less_history(
    messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """Cut a conversation that is too long, with room for the next turns, as the adapters do.

    While a loop of tools goes on they keep to what they chose first; here each call is cut anew.
    """
    from tokenomics_core.compression import compress_history  # noqa: PLC0415 - loads numpy

    most = options["max_tokens"]
    if int(count_tokens(list(messages), options.get("model"))) <= most:
        return messages
    for target in (max(int(_ROOM * most), 1), most):
        try:
            done = compress_history(messages, **{**options, "max_tokens": target})
        except ConfigurationError:
            continue  # instructions and last turn alone do not fit
        return list(done.messages)
    return messages
