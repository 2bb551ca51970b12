"""Turn tables of a settings file into sections, and say in words what cannot be meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tokenomics_core.errors import ConfigurationError

__all__ = ["plain_section", "read_section", "read_text_value", "section_of_items", "unknown_name"]

_S = TypeVar("_S")


class _MisfitError(Exception):
    """A value is not of the kind that is asked for; says of which it should be."""


def read_section(kind: type[_S], table: Any, where: str) -> _S:
    """Return a section read from a table.

    Args:
        kind: A frozen dataclass whose fields are text, numbers, `Decimal` for money, tuples, mappings and
            other sections.
        table: As TOML gave it.
        where: What the table is called, for messages.

    Raises:
        ConfigurationError: A name is not known (the nearest one is quoted), a value is of a wrong kind, or
            one that is needed is missing; nothing was set up.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table, not {table!r:.80}; nothing was set up")
    hints: Mapping[str, Any] = get_type_hints(kind)
    for name in table:
        if name not in hints:
            raise ConfigurationError(unknown_name(name, hints, where))
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # every section is a dataclass
        if item.name in table:
            values[item.name] = _checked(table[item.name], hints[item.name], f"{where}.{item.name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ConfigurationError(f"{where} needs {item.name}; nothing was set up")
    try:
        return kind(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def unknown_name(name: object, known: Mapping[str, Any], where: str) -> str:
    """Say that there is no such setting, and which one is nearest."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"{where} has no setting {name!r}{meant} Nothing was set up"


def read_text_value(kind: type[Any], name: str, text: str, where: str) -> Any:
    """Return what a text, as from a command line, says for one field of a section.

    Lists have commas between their items, and mappings are `key:value` pairs with commas between them.

    Raises:
        ConfigurationError: There is no such field, or it cannot have this value.
    """
    hints: Mapping[str, Any] = get_type_hints(kind)
    if name not in hints:
        raise ConfigurationError(unknown_name(name, hints, where))
    for form in _forms_of(text):
        try:
            return _read(form, hints[name])
        except _MisfitError as misfit:
            wanted = str(misfit)
    raise ConfigurationError(f"{where}.{name} must be {wanted}, not {text!r:.80}; nothing was set up")


def section_of_items(kind: type[Any], name: str) -> type[Any] | None:
    """Return what the items of a field are sections of; None where they are none."""
    for part in get_args(get_type_hints(kind).get(name)):
        if isinstance(part, type) and is_dataclass(part):
            return part
    return None


def plain_section(section: Any) -> dict[str, Any]:
    """Return a section as a table; what is None, or a mapping of nothing, is left out."""
    table: dict[str, Any] = {}
    for item in fields(section):
        value = getattr(section, item.name)
        if value is not None and value != {}:
            table[item.name] = _plain(value)
    return table


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return plain_section(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _checked(value: Any, hint: Any, where: str) -> Any:
    try:
        return _read(value, hint, where)
    except _MisfitError as misfit:
        raise ConfigurationError(f"{where} must be {misfit}, not {value!r:.80}; nothing was set up") from None


def _read(value: Any, hint: Any, where: str = "") -> Any:  # noqa: PLR0911 - one line per kind
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        return _read_union(value, [option for option in get_args(hint) if option is not NoneType], where)
    if origin is tuple:
        return _read_list(value, get_args(hint)[0], where)
    if origin is not None:  # a mapping by text
        return _read_mapping(value, get_args(hint)[1], where)
    if is_dataclass(hint) and isinstance(hint, type):
        return read_section(hint, value, where)
    if hint is Decimal:
        return _read_amount(value)
    if (
        hint is float
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return float(value)
    if hint in {str, int, bool} and type(value) is hint:
        return value
    raise _MisfitError(_WORDS.get(hint, "something else"))


def _read_union(value: Any, options: list[Any], where: str) -> Any:
    wanted = []
    for option in options:
        try:
            return _read(value, option, where)
        except _MisfitError as misfit:
            wanted.append(str(misfit))
    raise _MisfitError(" or ".join(wanted))


def _read_list(value: Any, hint: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _MisfitError("a list")
    return tuple(
        read_section(hint, item, f"{where}[{place}]")
        if isinstance(hint, type) and is_dataclass(hint)
        else _read(item, hint, where)
        for place, item in enumerate(value)
    )


def _read_mapping(value: Any, hint: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _MisfitError("a table")
    return {str(key): _read(item, hint, where) for key, item in value.items()}


def _read_amount(value: Any) -> Decimal:
    """Read money: a text, or a whole number; the digits of a float are not those that were written."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise _MisfitError('an amount in quotes, such as "2.50"')
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise _MisfitError('an amount in quotes, such as "2.50"')
    return amount


def _forms_of(text: str) -> list[Any]:
    """Return the ways in which a text may be meant, the strictest first."""
    forms: list[Any] = []
    if text in {"true", "false"}:
        forms.append(text == "true")
    for number in (int, float):
        try:
            forms.append(number(text))
        except ValueError:
            continue
    forms.append(text)
    parts = [part.strip() for part in text.split(",")]
    forms.append([_forms_of(part)[0] if "," in text else part for part in parts] if "," in text else parts)
    forms.append(parts)
    if all(":" in part for part in parts):
        pairs = [part.partition(":") for part in parts]
        forms.append({key: _forms_of(value)[0] for key, _, value in pairs})
        forms.append({key: value for key, _, value in pairs})
    return forms


_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
