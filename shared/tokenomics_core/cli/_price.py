"""`tokenomics price`: what a model charges, or what a usage would cost."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from typing import TextIO

from tokenomics_core.cli._output import AddCommand, show, usd_text, write_json
from tokenomics_core.cli._values import check_zone, count, existing_file, instant, when
from tokenomics_core.pricing import Price, PriceBook
from tokenomics_core.rendering import Cell, Column, Figure, Group, Notice, Row, Table, shorten
from tokenomics_core.types import Cost, Usage

__all__ = ["add"]

_COUNTS = {
    "input": "all input, cached included",
    "output": "all output, reasoning included",
    "cache_read": "of the input, read from the provider's cache",
    "cache_write": "of the input, written to it",
    "cache_write_1h": "of those, for an hour",
    "reasoning": "of the output, hidden reasoning",
    "input_audio": "of the input, audio",
    "output_audio": "of the output, audio",
}
_NAME_WIDTH = 200
_PER = {"tokens": "million", "characters": "million", "seconds": "hour", "pixels": "billion"}


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command(
        "price",
        help="what a model charges, or what a usage would cost",
        description="Without counts, the rates of a model; with counts, what they would cost.",
    )
    parser.add_argument("model", metavar="MODEL", help="in any usual spelling")
    parser.add_argument("--provider", help="who serves it")
    for name, help_ in _COUNTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=count, metavar="N", help=f"tokens: {help_}")
    parser.add_argument("--batch", action="store_true", help="through a batch endpoint")
    parser.add_argument("--service-tier", metavar="TIER", help="flex, priority ...")
    parser.add_argument("--at", type=when, help="when: a date or a time; now if left out")
    parser.add_argument("--timezone", type=check_zone, default="UTC", help="zone of that date")
    parser.add_argument(
        "--prices", type=existing_file, metavar="FILE", help="prices of your own, TOML or JSON"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, now: datetime) -> int:
    book = PriceBook(overrides=arguments.prices)
    at = instant(arguments.at, now, arguments.timezone) or now
    counts = {name: getattr(arguments, name) for name in _COUNTS if getattr(arguments, name) is not None}
    if counts:
        return _show_cost(
            book.cost(_usage(counts, arguments), arguments.model, arguments.provider, at), arguments, out
        )
    price = book.price(
        arguments.model, arguments.provider, at, service_tier=arguments.service_tier, batch=arguments.batch
    )
    return _show_price(price, arguments, out)


def _usage(counts: dict[str, int], arguments: argparse.Namespace) -> Usage:
    tokens = {f"{name}_tokens": value for name, value in counts.items()}
    request = {"batch": arguments.batch, "service_tier": arguments.service_tier}
    # On the command line, what is not said is none.
    return Usage.from_dict({"input_tokens": 0, "output_tokens": 0} | tokens | request)


def _show_cost(cost: Cost, arguments: argparse.Namespace, out: TextIO) -> int:
    if arguments.format == "json":
        amounts = {name: usd_text(getattr(cost, name)) for name in ("total_usd", "input_usd", "output_usd")}
        day = cost.price_date.isoformat() if cost.price_date else None
        about = {"model": cost.model, "provider": cost.provider, "source": cost.source, "price_date": day}
        write_json(amounts | about | {"notes": list(cost.notes)}, out)
    else:
        rows = [
            Row((Cell(name), Cell(amount)))
            for name, amount in (("input", cost.input_usd), ("output", cost.output_usd))
            if amount is not None
        ]
        show(
            Table(
                title=_title(cost.model, cost.provider, arguments.model),
                figures=(
                    Figure(
                        "Cost", Cell(cost.total_usd, level="normal" if cost.is_known else "error"), "money"
                    ),
                ),
                columns=(Column(title=""), Column(title="USD", kind="money", strong=True)),
                groups=(Group("", tuple(rows)),) if rows else (),
                notices=tuple(_notices(cost)),
            ),
            out,
        )
    return 0 if cost.is_known else 1


def _show_price(price: Price | None, arguments: argparse.Namespace, out: TextIO) -> int:
    if arguments.format == "json":
        write_json({"price": None if price is None else _price_dict(price)}, out)
    elif price is None:
        model = shorten(arguments.model, _NAME_WIDTH)
        text = f"no price is known for {model}; add one with --prices FILE, or name its --provider"
        show(Table(title=model, columns=(Column(title=""),), notices=(Notice(text, "error"),)), out)
    else:
        show(
            Table(
                title=_title(price.model, price.provider, arguments.model),
                columns=(
                    Column(title="Unit"),
                    Column(title="per"),
                    Column(title="USD", kind="money", strong=True),
                ),
                groups=(Group("", tuple(_rate_rows(price))),),
                notices=tuple(_notices(price)),
            ),
            out,
        )
    return 0 if price is not None else 1


def _price_dict(price: Price) -> dict[str, object]:
    return {
        "model": price.model,
        "provider": price.provider,
        "source": price.source,
        "price_date": price.price_date.isoformat() if price.price_date else None,
        "rates": {
            unit: {
                "per": _per(unit),
                "usd": usd_text(rate.base),
                "above": [{"input_tokens": start, "usd": usd_text(usd)} for start, usd in rate.tiers],
            }
            for unit, rate in price.rates.items()
        },
        "notes": list(price.notes),
    }


def _rate_rows(price: Price) -> Iterator[Row]:
    for unit, rate in price.rates.items():
        yield Row((Cell(unit.replace("_", " ")), Cell(_per(unit)), Cell(rate.base)))
        for start, usd in rate.tiers:
            yield Row((Cell(f"  where the input is above {start:,}"), Cell(_per(unit)), Cell(usd)))


def _per(unit: str) -> str:
    return _PER.get(unit.rsplit("_", 1)[-1], "thousand")


def _title(model: str | None, provider: str | None, asked: str) -> str:
    if model is None:
        return shorten(asked, _NAME_WIDTH)
    return f"{model} at {provider}" if provider else model


def _notices(found: Cost | Price) -> Iterator[Notice]:
    for note in found.notes:
        yield Notice(note, "warning")
    since = f", in force since {found.price_date}" if found.price_date else ""
    yield Notice(f"price: {found.source}{since}")
