"""A table as plain aligned text, for a log, a terminal or a test."""

from __future__ import annotations

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.rendering._layout import lay_out
from tokenomics_core.rendering._table import Table

__all__ = ["MIN_WIDTH", "to_text"]

MIN_WIDTH = 20


def to_text(table: Table, width: int | None = None) -> str:
    """Draw a table in Unicode text without colours.

    Args:
        table: What to show.
        width: The columns that a line may take, 20 or more; as many as it needs where None.

    Raises:
        ConfigurationError: The width is less than 20; nothing was drawn.
    """
    if width is not None and width < MIN_WIDTH:
        raise ConfigurationError(f"width must be {MIN_WIDTH} or more, not {width}; nothing was drawn")
    lines = lay_out(table, width)
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)
