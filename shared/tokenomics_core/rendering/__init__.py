"""Show a table of money and tokens the same way on a page, in a terminal and in plain text."""

from tokenomics_core.rendering._format import format_count, format_percent, format_usd, shorten
from tokenomics_core.rendering._html import to_html
from tokenomics_core.rendering._rich import to_rich
from tokenomics_core.rendering._table import (
    Align,
    Bar,
    BarPart,
    Cell,
    Column,
    Figure,
    Group,
    Kind,
    Level,
    Notice,
    Row,
    Table,
)
from tokenomics_core.rendering._text import to_text

__all__ = [
    "Align",
    "Bar",
    "BarPart",
    "Cell",
    "Column",
    "Figure",
    "Group",
    "Kind",
    "Level",
    "Notice",
    "Row",
    "Table",
    "format_count",
    "format_percent",
    "format_usd",
    "shorten",
    "to_html",
    "to_rich",
    "to_text",
]
