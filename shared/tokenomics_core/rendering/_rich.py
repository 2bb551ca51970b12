"""A table in the colours of a terminal, as rich draws them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tokenomics_core.errors import MissingExtraError
from tokenomics_core.rendering._layout import Style, lay_out
from tokenomics_core.rendering._table import Table
from tokenomics_core.rendering._text import MIN_WIDTH

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.measure import Measurement
    from rich.text import Text

__all__ = ["to_rich"]

_RICH_STYLE_OF: dict[Style, str] = {
    "plain": "",
    "title": "bold",
    "strong": "bold",
    "head": "bold",
    "muted": "dim",
    "good": "#2f9e6b",
    "warning": "#c08a1e",
    "error": "#d9484d",
    "bar": "#4a84c8",
    "bar_good": "#2f9e6b",
}


def to_rich(table: Table) -> RenderableType:
    """Return a table that `rich.print` draws, as wide as the console allows and no wider than it needs.

    Raises:
        MissingExtraError: rich is not installed.
    """
    try:
        import rich.console  # noqa: F401, PLC0415 - an extra, needed only here
    except ImportError as error:
        raise MissingExtraError("rich", "notebook") from error
    return _RichTable(table)


class _RichTable:
    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text  # noqa: PLC0415 - an extra, needed only here

        for line in lay_out(self._table, max(MIN_WIDTH, options.max_width)):
            parts = [(span.text, _RICH_STYLE_OF[span.style]) for span in line]
            yield Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement  # noqa: PLC0415 - an extra, needed only here

        widths = [sum(len(span.text) for span in line) for line in lay_out(self._table)]
        natural = max(widths, default=MIN_WIDTH)
        return Measurement(min(MIN_WIDTH, options.max_width), min(natural, options.max_width))
