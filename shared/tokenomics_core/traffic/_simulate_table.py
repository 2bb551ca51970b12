"""A replay as a table: money, who served what, what may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Level,
    Notice,
    Row,
    Table,
    format_count,
    format_percent,
    format_usd,
)
from tokenomics_core.traffic._simulate_result import Simulation

__all__ = ["table_of"]

_SERVED = {
    "exact": "cache, same words",
    "semantic": "cache, same meaning",
    "model": "a model",
    "refused": "nobody: a budget refused",
    "log": "left as it was",
}
_PARTS = {"cache": "cache", "route": "router", "compress": "compression", "budget": "budget"}


def table_of(result: Simulation) -> Table:
    """Return a replay as a table."""
    low, high = result.difference.low, result.difference.high
    share = result.saved_share
    return Table(
        title="What it would have saved",
        subtitle=f"{format_count(result.requests)} requests of {format_count(result.clusters)} conversations",
        figures=(
            Figure("in the log", Cell(result.log_usd), "money"),
            Figure("with the plan", Cell(result.usd, estimated=result.estimated_calls > 0), "money"),
            Figure(
                "saved",
                Cell(
                    result.saved_usd,
                    note=f"{'' if share is None else format_percent(share) + ', '}95%: "
                    f"{format_usd(_usd(low))} to {format_usd(_usd(high))}",
                ),
                "money",
            ),
        ),
        columns=(
            Column(title="", strong=True),
            Column(title="calls", kind="count"),
            Column(title="share", kind="percent"),
            Column(title="saved", kind="money"),
        ),
        groups=(
            Group("served by", _served(result)),
            Group("saved by", _saved(result)),
            *((Group("refused by", _refused(result)),) if result.refused_by else ()),
        ),
        notices=_notices(result),
    )


def _served(result: Simulation) -> tuple[Row, ...]:
    return tuple(
        Row((Cell(words), Cell(result.served[name]), Cell(result.share(name)), Cell("")))
        for name, words in _SERVED.items()
        if result.served.get(name)
    )


def _saved(result: Simulation) -> tuple[Row, ...]:
    hits = result.served["exact"] + result.served["semantic"]
    calls = {
        "cache": hits,
        "route": result.routed_down,
        "compress": result.shortened,
        "budget": result.served["refused"],
    }
    return tuple(
        Row(
            (
                Cell(words, note="cheaper model" if name == "route" else ""),
                Cell(calls[name]),
                Cell(calls[name] / result.requests if result.requests else 0.0),
                Cell(result.saved_by[name]),
            )
        )
        for name, words in _PARTS.items()
        if calls[name] or result.saved_by[name]
    )


def _refused(result: Simulation) -> tuple[Row, ...]:
    return tuple(
        Row((Cell(name), Cell(count), Cell(count / result.requests), Cell("")))
        for name, count in list(result.refused_by.items())[:10]
    )


def _notices(result: Simulation) -> tuple[Notice, ...]:
    return (
        *(Notice(text, level) for text, level in _risks(result)),
        *(Notice(text) for text in result.unknowns),
    )


def _risks(result: Simulation) -> list[tuple[str, Level]]:
    said: list[tuple[str, Level]] = [(text, "normal") for text in (*_wrong(result), *_service(result))]
    said.extend(
        (f"alert: {item.scope} {item.key!r} ({item.window}) reached {format_percent(item.share)}", "warning")
        for item in result.alerts[:5]
    )
    return said


def _wrong(result: Simulation) -> Iterator[str]:
    wrong = result.wrong
    if wrong.semantic:
        low, value, high = wrong.expected.low, wrong.expected.value, wrong.expected.high
        yield (
            f"wrong answers expected: {value:.1f} (95%: {low:.1f} to {high:.1f}) of "
            f"{format_count(wrong.semantic)} served by meaning, {format_percent(result.wrong_share)} of all"
        )
    if (measured := wrong.differing_share) is not None:
        yield (
            f"against the log's own answers {wrong.differing} of {wrong.compared} differ "
            f"(95%: {format_percent(measured.low)} to {format_percent(measured.high)}); "
            f"to the very same question {wrong.exact_differing} of {wrong.exact_compared}"
        )
    if wrong.bound_share is not None and wrong.confidence is not None:
        yield (
            f"the policy's own bound: at most {format_percent(wrong.bound_share)} of all requests wrong, "
            f"with {format_percent(wrong.confidence)} confidence"
        )


def _service(result: Simulation) -> Iterator[str]:
    quality, latency = result.quality, result.latency
    if quality.expected is not None and quality.expected_in_log is not None:
        yield (
            f"expected quality {quality.expected:.3f}, with the log's models {quality.expected_in_log:.3f} "
            f"({format_count(quality.compared)} calls)"
        )
    if quality.score is not None and quality.score_in_log is not None:
        yield (
            f"feedback in the log {quality.score:.3f}, with the log's models {quality.score_in_log:.3f} "
            f"({format_count(quality.scored)} calls)"
        )
    if latency.median_s is not None:
        yield f"median latency {latency.median_s:.2f} s, in the log {latency.median_in_log_s:.2f} s"


def _usd(value: float) -> Decimal:
    return Decimal(str(round(value, 9)))
