"""Write plain values as TOML, so that the standard library's reader gives them back as they were."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from tokenomics_core.errors import ConfigurationError

__all__ = ["write_toml"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}

TomlValue = str | int | float | bool | Decimal | list["TomlValue"] | Mapping[str, "TomlValue"]


def write_toml(table: Mapping[str, TomlValue]) -> str:
    """Return a table as TOML; amounts of money, as any `Decimal`, become strings, so that no digit is lost.

    Raises:
        ConfigurationError: A value has no form in TOML, such as a number that is none.
    """
    blocks = ["\n".join(lines) for lines in _blocks(table, ()) if lines]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _blocks(
    table: Mapping[str, TomlValue], path: tuple[str, ...], *, listed: bool = False
) -> Iterator[list[str]]:
    """Yield the lines of a table, then those of each table within it."""
    own = {key: value for key, value in table.items() if not _is_block(value)}
    inner = {key: value for key, value in table.items() if _is_block(value)}
    name = ".".join(map(_key, path))
    head = [f"[[{name}]]" if listed else f"[{name}]"] if path else []
    if own or listed or not inner:
        yield [*head, *(f"{_key(key)} = {_value(value)}" for key, value in own.items())]
    for key, value in inner.items():
        if isinstance(value, Mapping):
            yield from _blocks(value, (*path, key))
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, Mapping):
                    yield from _blocks(item, (*path, key), listed=True)


def _is_block(value: TomlValue) -> bool:
    """Whether a value has a header of its own; a list of tables has one for each."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, Mapping) for item in value)
    return isinstance(value, Mapping)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: TomlValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return _text(format(value, "f"))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigurationError(f"{value!r} is no number that a setting can have; nothing was written")
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    raise ConfigurationError(f"{value!r:.80} has no form in TOML; nothing was written")


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{text!r:.80} is no text that a file can hold; nothing was written"
        ) from error
    return '"' + "".join(_ESCAPES.get(letter) or _plain(letter) for letter in text) + '"'


def _plain(letter: str) -> str:
    return letter if letter >= " " and letter != "\x7f" else f"\\u{ord(letter):04X}"
