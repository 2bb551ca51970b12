"""One file of settings for ledger, budgets, cache, router and compression, the same in both frameworks."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tokenomics_core.config._reading import (
    plain_section,
    read_section,
    read_text_value,
    section_of_items,
    unknown_name,
)
from tokenomics_core.config._sections import (
    BudgetSettings,
    CacheSettings,
    LedgerSettings,
    PriceSettings,
)
from tokenomics_core.config._serving_sections import CompressSettings, RouterSettings
from tokenomics_core.config._toml import write_toml
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.config._parts import Parts
    from tokenomics_core.embedding import Embedder
    from tokenomics_core.traffic import Plan

__all__ = ["Settings"]

_SECTIONS: dict[str, type[Any]] = {
    "ledger": LedgerSettings,
    "prices": PriceSettings,
    "budgets": BudgetSettings,
    "cache": CacheSettings,
    "router": RouterSettings,
    "compress": CompressSettings,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an application saves with, as one value that a TOML file holds; a section that is None is off.

    settings = Settings.load("tokenomics.toml")
    settings.with_value("cache.max_error", "0.01").dump("stricter.toml")

    Attributes:
        ledger: Where every call is recorded.
        prices: What calls cost, where that is not what the price data says.
        budgets: What calls may spend.
        cache: What is served again.
        router: Which model answers what.
        compress: How much of the context is sent.
    """

    ledger: LedgerSettings | None = None
    prices: PriceSettings | None = None
    budgets: BudgetSettings | None = None
    cache: CacheSettings | None = None
    router: RouterSettings | None = None
    compress: CompressSettings | None = None

    @classmethod
    def load(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Self:
        """Read settings from a TOML file, from TOML itself (a text of several lines, or none), or a table.

        Raises:
            ConfigurationError: It cannot be read, or says what is not known; nothing was set up.
        """
        table, where = _table_of(source)
        found: dict[str, Any] = {}
        for name in table:
            if name not in _SECTIONS:
                raise ConfigurationError(unknown_name(name, _SECTIONS, where))
            found[name] = read_section(_SECTIONS[name], table[name], name)
        return cls(**found)

    def dumps(self) -> str:
        """Return the settings as TOML; `load` gives back an equal value."""
        sections = {item.name: getattr(self, item.name) for item in fields(self)}
        return write_toml(
            {name: plain_section(value) for name, value in sections.items() if value is not None}
        )

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write the settings to a file, whole or not at all.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            beside.write_text(self.dumps(), encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ConfigurationError(
                f"{target} cannot be written ({error}); no settings were saved"
            ) from error

    def with_value(self, name: str, value: object) -> Self:
        """Return the settings with one of them changed, such as `cache.max_error`.

        A section that was off is turned on; a limit is named by its place, `budgets.limits.0.usd`.

        Args:
            name: Which one.
            value: A text, as on a command line, or the value itself.

        Raises:
            ConfigurationError: There is no such setting, or it cannot have this value.
        """
        section, _, rest = name.partition(".")
        if section not in _SECTIONS or not rest:
            known = ", ".join(_SECTIONS)
            raise ConfigurationError(f"{name!r} is no setting such as cache.max_error (sections: {known})")
        return replace(
            self, **{section: _changed(_SECTIONS[section], getattr(self, section), rest, value, section)}
        )

    def value(self, name: str) -> Any:
        """Return one of the settings by the name that `with_value` takes; None where its section is off."""
        found: Any = self
        for part in name.split("."):
            if found is None:
                return None
            found = found[int(part)] if part.isdecimal() else getattr(found, part, None)
        return found

    def build(
        self,
        *,
        embedder: Embedder | None = None,
        clock: Callable[[], float] | None = None,
        on_alert: Callable[..., Any] | None = None,
    ) -> Parts:
        """Open the stores and make the objects that an application uses.

        Args:
            embedder: What says how near questions are; None for the built-in one.
            clock: Seconds since 1970; None for the machine's.
            on_alert: Told when a budget's threshold is passed.

        Raises:
            ConfigurationError: A setting is wrong.
            StoreError: A store cannot be opened.
            MissingExtraError: A store needs an extra that is not installed.
        """
        from tokenomics_core.config._parts import build_parts  # noqa: PLC0415 - loads what is built

        return build_parts(self, embedder=embedder, clock=clock, on_alert=on_alert)

    def plan(self, *, embedder: Embedder | None = None, order: str = "cache") -> Plan:
        """Make the same objects for a replay of a log: in memory, new, and on the log's own clock.

        Args:
            embedder: As for `build`.
            order: What a call asks first, `cache` or `budget`; see `tokenomics_core.traffic.Plan`.
        """
        from tokenomics_core.config._parts import build_plan  # noqa: PLC0415 - as above

        return build_plan(self, embedder=embedder, order=order)


def _table_of(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    if isinstance(source, Mapping):
        return source, "the settings"
    is_text = isinstance(source, str) and ("\n" in source or "=" in source or not source.strip())
    try:
        text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        return tomllib.loads(text), "the settings" if is_text else str(source)
    except tomllib.TOMLDecodeError as error:
        where = "the text" if is_text else str(source)
        raise ConfigurationError(f"{where} is no TOML ({error}); nothing was set up") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{source} cannot be read ({error}); nothing was set up") from error


def _changed(kind: type[Any], section: Any, name: str, value: object, where: str) -> Any:
    """Return a section with one value in it changed."""
    field_name, _, rest = name.partition(".")
    table = {} if section is None else plain_section(section)
    if rest:
        inner = section_of_items(kind, field_name)
        table[field_name] = _changed_inside(
            inner, table.get(field_name), rest, value, f"{where}.{field_name}"
        )
    else:
        if isinstance(value, str):
            value = read_text_value(kind, field_name, value, where)
        if value is None:
            table.pop(field_name, None)
        else:
            table[field_name] = value
    return read_section(kind, table, where)


def _changed_inside(kind: type[Any] | None, items: Any, name: str, value: object, where: str) -> Any:
    """Change a list of tables, or a table, inside a section."""
    first, _, rest = name.partition(".")
    if (
        isinstance(items, list)
        and first.isdecimal()
        and int(first) < len(items)
        and rest
        and kind is not None
    ):
        if isinstance(value, str):
            value = read_text_value(kind, rest, value, f"{where}[{first}]")
        return [{**item, rest: value} if place == int(first) else item for place, item in enumerate(items)]
    if isinstance(items, Mapping) and not rest:
        return {**items, first: value}
    raise ConfigurationError(f"{where} has no {name!r}; nothing was set up")
