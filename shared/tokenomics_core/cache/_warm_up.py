"""Begin with questions and answers that are known already."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from tokenomics_core.cache._asking import Steps
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._hit import Answer
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Usage

__all__ = ["BadLine", "WarmUp", "warmed_up"]

_QUOTED_CHARS = 200
_LINES_AT_ONCE = 32
_ABOUT = frozenset(item.name for item in fields(Answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that was skipped.

    Attributes:
        number: Which, from 1.
        why: What is wrong with it.
        text: Its beginning.
    """

    number: int
    why: str
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.why}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """What became of known questions and answers.

    Attributes:
        stored: How many are kept.
        not_kept: How many guards or the store refused.
        bad_lines: What could not be read.
    """

    stored: int
    not_kept: int
    bad_lines: tuple[BadLine, ...] = ()


def warmed_up(
    flow: Flow, source: str | PathLike[str] | Iterable[str | Mapping[str, Any]], partition: str | None
) -> Steps[WarmUp]:
    """Store every line that can be read."""
    count: Counter[str] = Counter()
    bad: list[BadLine] = []
    for number, line in enumerate(_lines(source), start=1):
        if isinstance(line, str) and not line.strip():
            continue
        try:
            place, question, fresh = _read(line, partition)
        except (ValueError, TypeError, RecursionError) as error:
            bad.append(BadLine(number=number, why=str(error), text=_quoted(line)))
            continue
        kept = yield from flow.put(place, question, fresh)
        count["stored" if kept.is_stored else "not_kept"] += 1
        if not number % _LINES_AT_ONCE:
            yield "pause", 0.0, ()  # let others have the event loop: a store in memory never waits
    return WarmUp(stored=count["stored"], not_kept=count["not_kept"], bad_lines=tuple(bad))


def _lines(
    source: str | PathLike[str] | Iterable[str | Mapping[str, Any]],
) -> Iterator[str | Mapping[str, Any]]:
    if not isinstance(source, str | PathLike):
        yield from source
        return
    try:
        with Path(source).open(encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise ConfigurationError(f"{source} cannot be read: {error}; nothing more was stored") from error


def _read(line: str | Mapping[str, Any], partition: str | None) -> tuple[str, str, Answer]:
    row = json.loads(line) if isinstance(line, str) else line
    if not isinstance(row, Mapping):
        raise ConfigurationError("it is no object")
    about = dict(row)
    place, question = about.pop("partition", partition), about.pop("question", None)
    if not isinstance(question, str) or not question.strip():
        raise ConfigurationError("it has no question")
    if not isinstance(place, str):
        raise ConfigurationError("it names no partition, and none was given")
    about.setdefault("payload", about.get("answer"))
    if not isinstance(about["payload"], str | bytes):
        raise ConfigurationError("it has no answer")
    if unknown := sorted(set(about) - _ABOUT):
        raise ConfigurationError(f"{', '.join(map(str, unknown))} is not known")
    if about.get("usage") is not None and not isinstance(about["usage"], Usage):
        about["usage"] = Usage.from_dict(about["usage"])
    return place, question, Answer(**about)


def _quoted(line: str | Mapping[str, Any]) -> str:
    text = line.strip() if isinstance(line, str) else repr(line)
    return text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}…"
