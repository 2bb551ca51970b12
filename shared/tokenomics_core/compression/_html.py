"""Read what a page says to a person: text, headings, lists, tables and the targets of links."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["html_text", "is_html"]

_SILENT = {"script", "style", "noscript", "template", "svg", "head"}
_BLOCKS = {
    *(
        "p",
        "div",
        "section",
        "article",
        "main",
        "header",
        "footer",
        "nav",
        "aside",
        "ul",
        "ol",
        "li",
        "table",
    ),
    *("tr", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "form", "dl", "dt", "dd"),
    *("figure", "figcaption", "title", "body"),
}
_IN_HEAD = {"base", "link", "meta", "noscript", "script", "style", "template", "title"}
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|div|table|p|ul|article|section)\b",
    re.IGNORECASE | re.DOTALL,
)


def is_html(text: str) -> bool:
    """Say whether a text is a page or a piece of one."""
    return _HTML.match(text) is not None and "</" in text


def html_text(page: str) -> str:
    """Turn a page into plain text, in the order in which it is read.

    Headings begin with `#`, list items with `-`, cells of a row are parted by ` | `; a link keeps its target
    where it is an address with a host. Scripts, styles and comments go.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._silent: list[str] = []
        self._verbatim = 0
        self._targets: list[str | None] = []

    def text(self) -> str:
        lines = [line.rstrip() for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._leave_unclosed(tag)
        if tag in _SILENT:
            self._silent.append(tag)
            return
        if self._silent:
            return
        if tag in _BLOCKS:
            self._break()
        if tag in ("td", "th") and self._parts and not self._parts[-1].endswith("\n"):
            self._parts.append(" | ")
        if re.fullmatch(r"h[1-6]", tag):
            self._parts.append("#" * int(tag[1]) + " ")
        self._verbatim += tag == "pre"
        if tag == "li":
            self._parts.append("- ")
        if tag == "a":
            self._targets.append(dict(attrs).get("href"))
        if tag == "img" and (alt := dict(attrs).get("alt")):
            self._parts.append(alt)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            if tag in self._silent:
                del self._silent[self._silent.index(tag) :]
            return
        if self._silent:
            return
        self._verbatim -= tag == "pre" and self._verbatim > 0
        if tag == "a" and self._targets:
            target = self._targets.pop()
            if target and re.match(r"https?://", target):
                self._parts.append(f" ({target})")
        if tag in _BLOCKS:
            self._break()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._verbatim:
            self._parts.append(data)
            return
        words = re.sub(r"\s+", " ", data)
        if words.startswith(" ") and (not self._parts or self._parts[-1].endswith(("\n", " "))):
            words = words[1:]
        if words:
            self._parts.append(words)

    def _leave_unclosed(self, tag: str) -> None:
        """End a head or drawing that is never closed where something begins that cannot stand in it."""
        if self._silent == ["head"]:
            if tag not in _IN_HEAD:
                self._silent = []
        elif "svg" in self._silent and tag in _BLOCKS and tag != "title":
            del self._silent[self._silent.index("svg") :]

    def _break(self) -> None:
        if self._parts and not self._parts[-1].endswith("\n"):
            self._parts.append("\n")
