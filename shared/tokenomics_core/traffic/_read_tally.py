"""What a reader counts while it reads, and how it speaks of a line that it could not use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._read_spans import Traces

__all__ = ["Tally", "quoted"]

_MAX_PROBLEMS = 20
_MAX_QUOTED = 120
_QUOTED = re.compile("[\"'{\\[]")
"""Where a reason begins to quote what it is about."""


@dataclass(slots=True)
class Tally:
    """Counts of one reading.

    Attributes:
        is_strict: Whether a bad line ends the reading.
        is_private: Whether lines are hashed, and so not quoted either.
        rows: Calls that were read.
        bad: Lines or rows that could not be understood.
        skipped: Rows that are no calls of a model, such as chains, or that wrap one that is counted.
        problems: The first bad lines, each with its place, the reason and a quotation.
        formats: How many calls came in which format.
        traces: Spans that wait for the rest of their traces.
    """

    is_strict: bool = False
    is_private: bool = False
    rows: int = 0
    bad: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    formats: dict[str, int] = field(default_factory=dict)
    traces: dict[str, Traces] = field(default_factory=dict)

    def refuse(self, where: str, reason: str, text: object = "") -> None:
        """Count a bad line.

        Raises:
            ConfigurationError: The reading is strict.
        """
        if self.is_private:
            message = f"{where}: {_QUOTED.split(reason, maxsplit=1)[0] or 'not understood'}"
        else:
            message = f"{where}: {reason}: {quoted(text)}" if text else f"{where}: {reason}"
        if self.is_strict:
            raise ConfigurationError(f"{message}; reading stopped there")
        self.bad += 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(message)


def quoted(text: object) -> str:
    """Return a line or row in quotes, shortened."""
    if isinstance(text, bytes):
        shown = text[:1000].decode("utf-8", "replace")
    else:
        shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
    shown = shown.strip()
    return repr(shown if len(shown) <= _MAX_QUOTED else f"{shown[:_MAX_QUOTED]}...")
