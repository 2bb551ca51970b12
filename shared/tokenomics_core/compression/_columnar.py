"""Write JSON as tables that say each name once, and read them back to the digit.

A list of objects becomes a header and a row for each; what is the same in every row stands in the header:

    [3 rows: flight,origin=PHL,seats{economy,business},note?
    HAT001,16,10,
    HAT002,7,1,delayed
    HAT003,9,4,]

An object of like objects becomes `{2 rows by key: id=@key,price` with the key as the first cell. In a header
`name=value` holds for every row, `name=@key` repeats the key, `name?` may be missing (an empty cell),
`name{...}` is an object whose parts are cells of the row, `name[...]` a list of objects, written as
`[a,1;b,2]`, `name:text` strings that look like numbers. Strings stand without quotes where nothing else could
be read into them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tokenomics_core.compression._json_text import (
    NOTE_KEY,
    CutList,
    CutObject,
    Json,
    Number,
    cut_note,
    is_number,
    minified,
    quoted,
)

__all__ = ["BY_KEY", "RESERVED", "ROWS", "WORDS", "Column", "Shape", "columnar"]

ROWS, BY_KEY = " rows: ", " rows by key: "
WORDS = {"null": None, "true": True, "false": False}
_BARE = re.compile(
    r"[^\s,;{}\[\]\"\\@\x00-\x1f\x7f](?:[^,;{}\[\]\"\\\x00-\x1f\x7f]*[^\s,;{}\[\]\"\\\x00-\x1f\x7f])?"
)
RESERVED = re.compile(r"[0-9]+ (?:of [0-9]+ )?rows|… [0-9]+ of [0-9]+ left out")
_BARE_KEY = re.compile(r"[\w$][\w$.\-]*")
_MIN_ROWS = 2
_SPARSEST = 16


@dataclass(frozen=True, slots=True)
class Column:
    """One entry of a header.

    Attributes:
        name: The key.
        kind: `cell`, `text` (a string whatever it looks like), `constant`, `key`, `object` (parts are cells),
            `rows` (a list of objects).
        optional: Whether rows may lack it.
        constant: The value of every row, where `kind` is `constant`.
        inner: The parts, where `kind` is `object` or `rows`.
    """

    name: str
    kind: Literal["cell", "text", "constant", "key", "object", "rows"] = "cell"
    optional: bool = False
    constant: Json = None
    inner: Shape = ()


Shape = tuple[Column, ...]


def columnar(value: Json) -> str:
    """Write a value in the columnar form; `_columnar_read.read_columnar` gives it back.

    Args:
        value: What `exact_json` read.
    """
    return _written(value, {})


# What was written of each list and object, by identity: a value is asked for by every table that might hold
# it, and without this the time doubles with each level of nesting.
_Known = dict[int, str]


def _written(value: Json, known: _Known) -> str:
    if not isinstance(value, (dict, list)):
        return _scalar(value)
    text = known.get(id(value))
    if text is None:
        text = known[id(value)] = _shortest(value, known)
    return text


def _shortest(held: dict[str, Json] | list[Json], known: _Known) -> str:
    note = cut_note(held)
    if isinstance(held, dict):
        parts = [f"{_key(key)}:{_written(inner, known)}" for key, inner in held.items()]
        plain = "{" + ",".join([*parts, f"{quoted(NOTE_KEY)}:{note}"] if note else parts) + "}"
    else:
        parts = [_written(inner, known) for inner in held]
        plain = "[" + ",".join([*parts, note] if note else parts) + "]"
    return min(plain, _table(held, known) or plain, key=len)


def _header(shape: Shape, known: _Known) -> str:
    return ",".join(_entry(column, known) for column in shape)


def _row(record: dict[str, Json], shape: Shape, known: _Known) -> list[str]:
    cells: list[str] = []
    for column in shape:
        if column.kind in ("constant", "key"):
            continue
        if column.name not in record:
            cells += [""] * width(column)
            continue
        value = record[column.name]
        if column.kind == "object" and isinstance(value, dict):
            cells += _row(value, column.inner, known)
        elif column.kind == "rows" and isinstance(value, list):
            cells.append("[" + ";".join(_joined(inner, column.inner, known) for inner in value) + "]")
        else:
            cells.append(str(value) if column.kind == "text" else _written(value, known))
    return cells


def width(column: Column) -> int:
    """Count the cells that a column takes in a row."""
    if column.kind == "object":
        return sum(map(width, column.inner))
    return 0 if column.kind in ("constant", "key") else 1


def _shape_of(records: Sequence[Json], keys: Sequence[str] | None, known: _Known) -> Shape | None:
    """Find a header that every record fits; None where they are not all objects of one order of keys."""
    objects = [record for record in records if isinstance(record, dict) and record]
    if len(objects) < len(records) or len(records) < _MIN_ROWS:
        return None
    order = _common_order(objects)
    if order is None:
        return None
    return tuple(_column(name, objects, keys, known) for name in order)


def _table(held: dict[str, Json] | list[Json], known: _Known) -> str | None:
    keys = list(held) if isinstance(held, dict) else None
    records = list(held.values()) if isinstance(held, dict) else held
    shape = _shape_of(records, keys, known)
    if shape is None:
        return None
    lines = [f"{_count(held)}{ROWS if keys is None else BY_KEY}{_header(shape, known)}"]
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            return None
        cells = _row(record, shape, known)
        if keys is not None:
            cells = [keys[index] if _BARE.fullmatch(keys[index]) else quoted(keys[index]), *cells]
        lines.append(",".join(cells))
    opening, closing = "[]" if keys is None else "{}"
    if keys is None and not any(map(width, shape)):
        lines = lines[:1]
    return opening + "\n".join(lines) + closing


def _count(held: dict[str, Json] | list[Json]) -> str:
    return f"{len(held)} of {held.total}" if isinstance(held, (CutList, CutObject)) else str(len(held))


def _column(name: str, records: list[dict[str, Json]], keys: Sequence[str] | None, known: _Known) -> Column:
    values = [record[name] for record in records if name in record]
    optional = len(values) < len(records)
    if not optional and keys is not None and list(keys) == values and not any(map(_is_number_value, values)):
        return Column(name, "key")
    if not optional and len({minified(value) for value in values}) == 1:
        return Column(name, "constant", constant=values[0])
    if _are_texts(values):
        return Column(name, "text", optional)
    nested = _nested(name, values, optional, known) or _nested_rows(name, values, optional, known)
    return nested or Column(name, "cell", optional)


def _are_texts(values: list[Json]) -> bool:
    texts = [value for value in values if isinstance(value, str) and not isinstance(value, Number)]
    plain = len(texts) == len(values) and all(map(_BARE.fullmatch, texts))
    return plain and any(_string(text) != text for text in texts)


def _nested(name: str, values: list[Json], optional: bool, known: _Known) -> Column | None:
    if not all(isinstance(value, dict) and value for value in values):
        return None
    inner = _shape_of(values, None, known)
    if inner is None:
        return None
    column = Column(name, "object", optional, inner=inner)
    if optional and not all(isinstance(value, dict) and any(_row(value, inner, known)) for value in values):
        return None
    return column


def _nested_rows(name: str, values: list[Json], optional: bool, known: _Known) -> Column | None:
    elements: list[Json] = []
    for value in values:
        if not isinstance(value, list):
            return None
        elements += value
    inner = _shape_of(elements, None, known)
    if inner is None or not all(isinstance(one, dict) and _joined(one, inner, known) for one in elements):
        return None
    return Column(name, "rows", optional, inner=inner)


def _joined(record: Json, shape: Shape, known: _Known) -> str:
    return ",".join(_row(record, shape, known)) if isinstance(record, dict) else ""


def _common_order(records: list[dict[str, Json]]) -> list[str] | None:
    order = list(records[0])
    known = set(order)
    # Names that most rows lack make no table, and looking for their order takes the square of their number.
    most = _SPARSEST * sum(map(len, records)) / len(records)
    for record in records:
        if len(known) > most:
            return None
        if record.keys() <= known:
            continue
        place = 0
        for name in record:
            if name in known:
                place = order.index(name) + 1
            else:
                order.insert(place, name)
                known.add(name)
                place += 1
    position = {name: index for index, name in enumerate(order)}
    for record in records:
        places = [position[name] for name in record]
        if any(later <= earlier for earlier, later in pairwise(places)):
            return None
    return order


def _entry(column: Column, known: _Known) -> str:
    name = _key(column.name) + ("?" if column.optional else "")
    if column.kind == "constant":
        return f"{name}={_written(column.constant, known)}"
    if column.kind == "key":
        return f"{name}=@key"
    if column.kind == "object":
        return f"{name}{{{_header(column.inner, known)}}}"
    if column.kind == "rows":
        return f"{name}[{_header(column.inner, known)}]"
    return f"{name}:text" if column.kind == "text" else name


def _scalar(value: Json) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    return "null" if value is None else "true" if value else "false"


def _string(text: str) -> str:
    bare = _BARE.fullmatch(text) and text not in WORDS and not is_number(text) and not RESERVED.match(text)
    return text if bare else quoted(text)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) and not RESERVED.match(name) else quoted(name)


def _is_number_value(value: Json) -> bool:
    return isinstance(value, Number)
