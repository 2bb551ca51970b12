"""Put spans back into their traces, so that a call that several tools wrapped is counted once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tokenomics_core.traffic._read_answers import Answer
from tokenomics_core.traffic._read_values import Row
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution

__all__ = ["Span", "Traces"]

_MAX_WAITING = 4096
"""Spans kept while their traces may go on; at a few kilobytes each some tens of megabytes."""

_NOBODY = Attribution()


@dataclass(slots=True)
class Span:
    """A step of a trace.

    Attributes:
        trace: The trace it belongs to; one without is a trace of its own.
        id: Its own id.
        parent: The id of the span around it.
        name: What it is called; that of a trace's first span names the feature.
        record: The call of a model that it tells of, where it tells of one.
        is_tool: Whether it is a tool's work: a call inside is not the call around.
        attribution: Who it is for; what it says holds for the spans inside.
        asked: Messages to the model that a record beside the span around it keeps.
        answer: The model's answer, likewise.
    """

    trace: str
    id: str
    parent: str | None = None
    name: str | None = None
    record: TrafficRecord | None = None
    is_tool: bool = False
    attribution: Attribution = field(default=_NOBODY)
    asked: tuple[Row, ...] = ()
    answer: Answer | None = None


class Traces:
    """Spans that wait for the rest of their traces, of which so many are kept at a time.

    A span around another that both tell of a call, as where a framework and a client are both watched,
    are one call: that of the inner one, with what only the outer one knows. Where the inner ones report no
    tokens and the outer one does, it is the outer one.
    """

    def __init__(self, max_waiting: int = _MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, dict[str, Span]] = OrderedDict()
        self._n_waiting = 0
        self.wrappers = 0
        """How many calls were left out because another span tells of the same one."""

    def add(self, span: Span) -> Iterator[TrafficRecord]:
        """Take a span in, and yield the calls of traces that have waited longest."""
        spans = self._waiting.get(span.trace)
        if spans is None:
            spans = self._waiting[span.trace] = {}
        else:
            self._waiting.move_to_end(span.trace)
        if span.id not in spans:  # exports of overlapping hours repeat spans
            spans[span.id] = span
            self._n_waiting += 1
        while self._n_waiting > self._max_waiting:
            _, oldest = self._waiting.popitem(last=False)
            self._n_waiting -= len(oldest)
            yield from self._calls_of(oldest)

    def finish(self) -> Iterator[TrafficRecord]:
        """Yield the calls of all traces that wait."""
        while self._waiting:
            _, oldest = self._waiting.popitem(last=False)
            self._n_waiting -= len(oldest)
            yield from self._calls_of(oldest)

    def _calls_of(self, spans: dict[str, Span]) -> Iterator[TrafficRecord]:
        around = {span.id: tuple(_around(span, spans)) for span in spans.values() if span.record is not None}
        left_out, fillers = _judge(spans, around)
        logs: dict[str, list[Span]] = {}
        for span in spans.values():
            if span.parent is not None and (span.asked or span.answer is not None):
                logs.setdefault(span.parent, []).append(span)
        for name, outer_spans in around.items():
            record = spans[name].record
            if record is None or name in left_out:
                self.wrappers += 1
                continue
            record = _filled(_with_content(record, logs.get(name, ())), fillers.get(name, ()))
            yield _attributed(record, spans[name].trace, outer_spans)


def _around(span: Span, spans: dict[str, Span]) -> Iterator[Span]:
    """Yield the spans around one, the nearest first."""
    seen = {span.id}
    parent = span.parent
    while parent is not None and parent not in seen and parent in spans:
        seen.add(parent)
        yield spans[parent]
        parent = spans[parent].parent


def _judge(
    spans: dict[str, Span], around: dict[str, tuple[Span, ...]]
) -> tuple[set[str], dict[str, list[Span]]]:
    """Tell which calls are the same as another, and for those that stay, which spans know more of them."""
    inside: dict[str, list[str]] = {}
    for name, outer_spans in around.items():
        for outer in outer_spans:
            if outer.is_tool:
                break
            if outer.record is not None:
                inside.setdefault(outer.id, []).append(name)
    innermost = {outer: [name for name in names if name not in inside] for outer, names in inside.items()}
    left_out: set[str] = set()
    fillers: dict[str, list[Span]] = {}
    for around_them, names in innermost.items():
        whole = spans[around_them]
        if _reports(whole) and not any(_reports(spans[name]) for name in inside[around_them]):
            left_out.update(inside[around_them])
            continue
        left_out.add(around_them)
        if len(names) == 1:
            fillers.setdefault(names[0], []).append(whole)
    return left_out, fillers


def _reports(span: Span) -> bool:
    return span.record is not None and span.record.usage.is_reported


def _with_content(record: TrafficRecord, logs: Iterable[Span]) -> TrafficRecord:
    """Return a call with the messages and the answer that were logged beside its span."""
    asked = tuple(message for log in logs for message in log.asked)
    answer = next((log.answer for log in logs if log.answer is not None), None)
    if asked and record.messages is None:
        record = replace(record, messages=asked)
    if answer is not None and record.answer is None and not record.tool_calls:
        reason = record.finish_reason or answer.finish_reason
        record = replace(record, answer=answer.text, tool_calls=answer.tool_calls, finish_reason=reason)
    return record


def _filled(record: TrafficRecord, outer_spans: Iterable[Span]) -> TrafficRecord:
    """Return a call with what only the spans around it know of its content."""
    for outer in outer_spans:
        known = outer.record
        if known is None:
            continue
        changes: dict[str, Any] = {}
        if record.messages is None and known.messages is not None:
            changes = {"messages": known.messages, "answer": known.answer, "tool_calls": known.tool_calls}
        if not record.tools and known.tools:
            changes["tools"] = known.tools
        if not record.settings and known.settings:
            changes["settings"] = known.settings
        for name in ("cost_usd", "finish_reason", "score", "provider"):
            if getattr(record, name) is None and getattr(known, name) is not None:
                changes[name] = getattr(known, name)
        if changes:
            record = replace(record, **changes)
    return record


def _attributed(record: TrafficRecord, trace: str, outer_spans: tuple[Span, ...]) -> TrafficRecord:
    who = _NOBODY
    for outer in reversed(outer_spans):
        who = who.merge(outer.attribution)
    who = who.merge(record.attribution)
    first = outer_spans[-1] if outer_spans else None
    if who.feature is None and first is not None and first.name:
        who = replace(who, feature=first.name)
    if who.run is None and trace:
        who = replace(who, run=trace)
    return record if who == record.attribution else replace(record, attribution=who)
