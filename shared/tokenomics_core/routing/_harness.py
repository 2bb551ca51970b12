"""Take off what a coding agent's harness wraps around the words of a human."""

from __future__ import annotations

import re

__all__ = ["without_harness"]

_HARNESS = re.compile(
    r"<(system[-_]reminder|environment_(?:details|context)|user_info|ide_\w+|command-\w+|local-command-\w+)\b[^>]*>"
    r".*?</\1>",
    re.DOTALL | re.IGNORECASE,
)


def without_harness(text: str) -> str:
    """Return what of a message is the human's; empty where nothing is."""
    return _HARNESS.sub(" ", text).strip()
