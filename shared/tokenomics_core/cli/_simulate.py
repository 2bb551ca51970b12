"""`tokenomics simulate`: what a log would have cost with other settings, and what that would have broken."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tokenomics_core.cli._output import AddCommand, show, write_json
from tokenomics_core.cli._values import existing_file
from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenomics_core.config import Settings
    from tokenomics_core.traffic import Plan, Simulation, Sweep, TrafficRecord

__all__ = ["add"]

_LIMIT = re.compile(
    r"(?P<scope>[\w+]+)=(?P<amount>\d+(?:\.\d+)?)(?P<unit>calls|tokens)?(?:/(?P<window>[\w ]+))?"
)
_TOLD_EVERY = 500
_ON = {"", "on"}
_SUCH = {"cache": "max_error=0.01", "compress": "ratio=0.5"}


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "simulate",
        help="what a log would have cost with a cache, a router, compression and budgets",
        description=(
            "Replay logs in time order through the objects that production uses. Exit code 1 if a sweep has "
            "no value within --max-worse."
        ),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="logs of any tool; - reads stdin")
    parser.add_argument("--format", default="auto", help="of the logs; told by what is in them")
    parser.add_argument("--mapping", type=existing_file, metavar="FILE", help="which column holds what, TOML")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad line")
    parser.add_argument(
        "--sorted", action="store_true", help="the log is in time order: hold none of it in memory"
    )
    parser.add_argument(
        "--answers", nargs="+", default=[], metavar="FILE", help="logs of the same requests sent elsewhere"
    )
    _add_settings(parser)
    _add_output(parser)
    parser.set_defaults(run=_run)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings")
    group.add_argument("--config", type=existing_file, metavar="FILE", help="settings to begin with, TOML")
    group.add_argument(
        "--cache",
        nargs="?",
        const="",
        metavar="K=V,...",
        help="with a cache, such as max_error=0.01,ttl_s=3600",
    )
    group.add_argument(
        "--router",
        metavar="MODELS,K=V,...",
        help="with a router over models, the weakest first, such as gpt-4.1-nano,gpt-4.1,quality=0.95",
    )
    group.add_argument(
        "--compress", nargs="?", const="", metavar="K=V,...", help="with shorter prompts, such as ratio=0.5"
    )
    group.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="SCOPE=USD/WINDOW",
        help="with a limit, such as user=5.00/day or all=100000tokens/hour; may be repeated",
    )
    group.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting by name")
    group.add_argument(
        "--order", choices=("cache", "budget"), default="cache", help="what a call asks first (cache)"
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--sweep", metavar="NAME=V1,V2,...", help="try values, such as cache.max_error=0.01,0.05"
    )
    group.add_argument(
        "--max-worse",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="of requests that a sweep's choice may serve worse (0.02)",
    )
    group.add_argument(
        "--save", type=Path, metavar="FILE", help="write the settings, or a sweep's choice, as TOML"
    )
    group.add_argument("--html", type=Path, metavar="OUT", help="write one page that needs no network")
    group.add_argument("--json", metavar="OUT", help="write all figures; - writes them instead of the tables")
    group.add_argument("--seed", type=int, default=0, help="of the intervals' draws (0)")


def _run(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    settings = _settings(arguments)
    if arguments.sweep is not None:
        return _sweep(arguments, settings, out)
    from tokenomics_core.traffic import simulate_traffic  # noqa: PLC0415 - loads numpy

    reader = _log(arguments)
    result = simulate_traffic(
        reader,
        settings.plan(order=arguments.order),
        answers=_answers(arguments),
        is_sorted=arguments.sorted,
        keep_calls=False,
        on_call=_teller(sys.stderr),
        seed=arguments.seed,
    )
    _check_read(reader)
    _write(arguments, result, out)
    if arguments.save is not None:
        settings.dump(arguments.save)
    return 0


def _sweep(arguments: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    from tokenomics_core.traffic import sweep  # noqa: PLC0415 - loads numpy

    name, equals, told = arguments.sweep.partition("=")
    values = [value.strip() for value in told.split(",") if value.strip()]
    if not equals or not values:
        raise ConfigurationError(
            f"--sweep takes a setting and values, such as cache.max_error=0.01,0.05, not {arguments.sweep!r}"
        )
    varied = {value: settings.with_value(name, value) for value in values}
    reader = _log(arguments)
    result = sweep(
        reader,
        name,
        {value: _planner(each, arguments.order) for value, each in varied.items()},
        answers=_answers(arguments),
        seed=arguments.seed,
    )
    _check_read(reader)
    chosen = result.cheapest(arguments.max_worse)
    _write(arguments, result, out, chosen=None if chosen is None else chosen.value)
    if chosen is None:
        return 1
    if arguments.save is not None:
        varied[chosen.value].dump(arguments.save)
    return 0


def _teller(stream: TextIO) -> Callable[[object], None] | None:
    """Return what tells somebody who waits at a terminal how far it is; None where nobody does."""
    if not stream.isatty():
        return None
    numbers = itertools.count(1)

    def tell(_: object) -> None:
        if (number := next(numbers)) % _TOLD_EVERY == 0:
            stream.write(f"\r\x1b[Kreplayed {number:,} calls")
            stream.flush()

    return tell


def _planner(settings: Settings, order: str) -> Callable[[], Plan]:
    return lambda: settings.plan(order=order)


def _log(arguments: argparse.Namespace) -> Any:  # a `TrafficReader`
    from tokenomics_core.traffic import read_traffic  # noqa: PLC0415 - only where it is asked for

    return read_traffic(
        arguments.files, format=arguments.format, mapping=arguments.mapping, strict=arguments.strict
    )


def _answers(arguments: argparse.Namespace) -> Iterable[TrafficRecord]:
    from tokenomics_core.traffic import read_traffic  # noqa: PLC0415 - only where it is asked for

    return read_traffic(arguments.answers, format=arguments.format) if arguments.answers else ()


def _check_read(reader: Any) -> None:
    if not reader.rows:
        raise ConfigurationError(
            f"there is no call in the log ({reader.bad} lines could not be read); nothing was replayed"
        )


# -- settings


def _settings(arguments: argparse.Namespace) -> Settings:
    from tokenomics_core.config import Settings  # noqa: PLC0415 - only where it is asked for

    settings = Settings() if arguments.config is None else Settings.load(arguments.config)
    for section in ("cache", "compress"):
        told = getattr(arguments, section)
        if told is not None:
            settings = _with_section(settings, section, told)
    if arguments.router is not None:
        settings = _with_router(settings, arguments.router)
    for limit in arguments.budget:
        settings = _with_limit(settings, limit)
    for told in arguments.set:
        name, equals, value = told.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--set takes a setting and its value, such as cache.ttl_s=60, not {told!r}"
            )
        settings = settings.with_value(name, value)
    return settings


def _with_section(settings: Settings, section: str, told: str) -> Settings:
    """Turn a section on and change what is named in it."""
    from tokenomics_core.config import Settings  # noqa: PLC0415 - as above

    if getattr(settings, section) is None:
        settings = replace(settings, **{section: getattr(Settings.load({section: {}}), section)})
    for item in _items(told):
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--{section} takes settings such as {_SUCH[section]}, not {item!r}; "
                f"name files before it, or write --{section}=on"
            )
        settings = settings.with_value(f"{section}.{name}", value)
    return settings


def _with_router(settings: Settings, told: str) -> Settings:
    """Set the tiers by their models' names, and the router's own settings."""
    items = _items(told)
    models = [item for item in items if "=" not in item]
    table: dict[str, Any] = {}
    if models:
        table["tiers"] = [{"name": model, "model": model} for model in models]
    elif settings.router is None:
        raise ConfigurationError(
            f"--router takes models, the weakest first, not {told!r}; nothing was replayed"
        )
    if table:
        settings = settings.with_value("router.tiers", table["tiers"])
    for item in items:
        name, equals, value = item.partition("=")
        if equals:
            settings = settings.with_value(f"router.{name}", value)
    return settings


def _with_limit(settings: Settings, told: str) -> Settings:
    found = _LIMIT.fullmatch(told.strip())
    if found is None:
        raise ConfigurationError(
            f"--budget takes a limit such as user=5.00/day, not {told!r}; nothing was replayed"
        )
    scope: str | list[str] = found["scope"].split("+")
    limit: dict[str, Any] = {"scope": scope[0] if len(scope) == 1 else scope}
    if found["unit"]:
        limit[found["unit"]] = int(float(found["amount"]))
    else:
        limit["usd"] = found["amount"]
    if found["window"]:
        limit["window"] = found["window"]
    from tokenomics_core.config._reading import plain_section  # noqa: PLC0415 - only where it is asked for

    known = [] if settings.budgets is None else [plain_section(one) for one in settings.budgets.limits]
    return settings.with_value("budgets.limits", [*known, limit])


def _items(told: str) -> list[str]:
    return [] if told.strip() in _ON else [item.strip() for item in told.split(",") if item.strip()]


# -- output


def _write(
    arguments: argparse.Namespace, result: Simulation | Sweep, out: TextIO, *, chosen: str | None = None
) -> None:
    figures = result.to_dict()
    is_sweep = "points" in figures
    if is_sweep:
        figures["chosen"] = chosen
    if arguments.html is not None:
        arguments.html.write_text(_page(result), encoding="utf-8")
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    if arguments.json == "-":
        write_json(figures, out)
        return
    if arguments.json is not None:
        with Path(arguments.json).open("w", encoding="utf-8") as file:
            write_json(figures, file)
    show(result.table(), out)
    if is_sweep:
        out.write(f"\n{_choice(arguments, chosen)}\n")


def _choice(arguments: argparse.Namespace, chosen: str | None) -> str:
    name = arguments.sweep.partition("=")[0]
    if chosen is None:
        return f"every value serves more than {arguments.max_worse:.1%} of the requests worse; none is chosen"
    saved = "" if arguments.save is None else f"; saved to {arguments.save}"
    return f"{name} = {chosen} is the cheapest that serves at most {arguments.max_worse:.1%} worse{saved}"


def _page(result: Simulation | Sweep) -> str:
    """Return one page that needs nothing else."""
    drawn, title = result.to_html(), escape(result.table().title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>:root{{color-scheme:light dark}}"
        "body{margin:1rem auto;max-width:60rem;padding:0 1rem}h1{position:absolute;left:-9999px}</style>"
        f"</head><body><main><h1>{title}</h1>{drawn}</main></body></html>"
    )
