"""Say once what a text says a hundred times: log lines by template, repeats, frames, context of a diff."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

__all__ = ["fold_diff", "fold_log", "fold_repeats", "fold_trace", "template_of"]

_PARTS = re.compile(r"[\s,;:=()\[\]|/]+")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTEXT = 1
_RARE = 2
_FRAMES = 3
_FRAME = re.compile(r"\s+(?:File \"|at |\.\.\. \d+ more)|\s*#\d+ |\s+[\w./\\-]+:\d+")


def template_of(line: str) -> str:
    """Name the kind of a log line: its words, with a star for what holds a digit or stands in quotes."""
    parts = _PARTS.split(_QUOTED.sub('"*"', line))
    return " ".join("*" if any(map(str.isdigit, part)) else part for part in parts)


def fold_log(lines: list[str]) -> list[str]:
    """Keep every line of a rare kind, and the first and the last of a frequent one, with their number.

    A kind is a template (`template_of`); it is rare with two lines or fewer. What differs between the lines
    of one kind is lost for those between the first and the last.
    """
    kinds = list(map(template_of, lines))
    counts = Counter(kinds)
    seen: Counter[str] = Counter()
    kept: list[str] = []
    for line, kind in zip(lines, kinds, strict=True):
        seen[kind] += 1
        if counts[kind] <= _RARE or not line.strip():
            kept.append(line)
        elif seen[kind] == 1:
            kept.append(f"{line} [first of {counts[kind]} like this]")
        elif seen[kind] == counts[kind]:
            kept.append(f"{line} [last of {counts[kind]}]")
    return kept


def fold_repeats(text: str) -> list[str]:
    """Drop colours and overwritten progress lines, and count equal neighbours instead of repeating them."""
    lines = [
        line.rstrip("\r").rsplit("\r", 1)[-1]
        for line in _ANSI.sub("", text.replace("\r\n", "\n")).split("\n")
    ]
    kept: list[str] = []
    for line, run in groupby(lines):
        times = len(list(run))
        kept += [f"{line} [{times} times]"] if times > _RARE and line.strip() else [line] * times
    return kept


def fold_trace(lines: list[str]) -> list[str]:
    """Keep of a long run of stack frames the three outermost and the three innermost."""
    kept: list[str] = []
    run: list[str] = []
    for line in lines:
        if _FRAME.match(line) or (run and line.startswith("    ")):
            run.append(line)
            continue
        kept += _middle_out(run)
        run = []
        kept.append(line)
    return kept + _middle_out(run)


def fold_diff(lines: list[str]) -> list[str]:
    """Keep of a unified diff its headers, its changes and one line of context on either side."""
    near = set[int]()
    for index, line in enumerate(lines):
        if line[:1] in ("+", "-") and not line.startswith(("+++", "---")):
            near.update(range(index - _CONTEXT, index + _CONTEXT + 1))
    kept: list[str] = []
    skipped = 0
    for index, line in enumerate(lines):
        if index in near or not line.startswith(" "):
            if skipped:
                kept.append(f" … {skipped} unchanged lines left out")
            skipped = 0
            kept.append(line)
        else:
            skipped += 1
    return [*kept, f" … {skipped} unchanged lines left out"] if skipped else kept


def _middle_out(run: list[str]) -> list[str]:
    if len(run) <= 4 * _FRAMES:
        return run
    head, tail = run[: 2 * _FRAMES], run[-2 * _FRAMES :]
    return [*head, f"    … {len(run) - len(head) - len(tail)} lines of frames left out", *tail]
