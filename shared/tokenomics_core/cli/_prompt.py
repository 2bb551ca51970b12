"""`tokenomics prompt analyze`: where a prompt's tokens go, and what of them is waste."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import Any, TextIO

from tokenomics_core.cli._output import AddCommand, show, usd_text, write_json
from tokenomics_core.cli._values import count, existing_file
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.prompts import PromptReport, analyze_prompt

__all__ = ["add"]


def add(add_command: AddCommand) -> None:
    """Add the command to the parser."""
    parser = add_command("prompt", help="where a prompt's tokens go", description="Look into a prompt.")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    analyze = actions.add_parser(
        "analyze",
        help="tokens and dollars by part, and what could be spared",
        description="FILE holds a JSON list of messages, a request with `messages` and `tools`, or text.",
    )
    analyze.add_argument("file", type=existing_file, metavar="FILE")
    analyze.add_argument("--model", required=True, help="who will be asked")
    analyze.add_argument("--provider", help="who serves it")
    analyze.add_argument(
        "--calls-per-month", type=count, metavar="N", help="how often; 12k and 1.5M are understood"
    )
    analyze.add_argument(
        "--prices", type=existing_file, metavar="FILE", help="prices of your own, TOML or JSON"
    )
    analyze.add_argument("--format", choices=("table", "json"), default="table")
    analyze.set_defaults(run=_run)


def _run(arguments: argparse.Namespace, out: TextIO, _now: datetime) -> int:
    messages, tools = _read(arguments)
    report = analyze_prompt(
        messages,
        arguments.model,
        tools=tools,
        provider=arguments.provider,
        calls_per_month=arguments.calls_per_month,
        prices=PriceBook(overrides=arguments.prices),
    )
    if arguments.format == "json":
        write_json(_as_dict(report), out)
    else:
        show(report.table(), out)
    return 0


def _read(arguments: argparse.Namespace) -> tuple[Any, list[Any]]:
    try:
        text = arguments.file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{arguments.file} is no text in UTF-8 ({error}); nothing was analysed"
        ) from error
    try:
        value = json.loads(text)
    except ValueError:
        return text, []
    if isinstance(value, dict) and "messages" in value:
        system = value.get("system")
        first = [{"role": "system", "content": system}] if system else []
        return first + list(value["messages"]), list(value.get("tools") or [])
    return (value, []) if isinstance(value, list) else (text, [])


def _as_dict(report: PromptReport) -> dict[str, object]:
    return {
        "model": report.model,
        "tokens": report.tokens,
        "usd": usd_text(report.usd),
        "estimated": report.estimated,
        "shares": [
            {"role": share.role, "source": share.source, "tokens": share.tokens, "usd": usd_text(share.usd)}
            for share in report.shares
        ],
        "suggestions": [
            {
                "kind": each.waste.kind,
                "place": each.waste.place,
                "detail": each.waste.detail,
                "fix": each.waste.fix,
                "tokens_saved": each.tokens_saved,
                "usd_per_call": usd_text(each.usd_per_call),
                "usd_per_month": usd_text(each.usd_per_month),
            }
            for each in report.suggestions
        ],
    }
