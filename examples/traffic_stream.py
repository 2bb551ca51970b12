"""A stream of requests for applications with a provider on loopback, and the log that they leave.

The requests are generated, with repeats, other wordings, talks, tools and waste; the answers come from the
stand-in of `examples.provider`. An application sends the stream through a framework's real client, one call
at a time, at the times of the stream; what goes over the wire becomes the log.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from examples.main_job.questions import load_questions
from examples.provider import LoopbackProvider
from examples.provider.exchange import Engine, ProviderAnswer, ProviderRequest
from examples.provider.reading import STRONG_READER, WEAK_READER, ReadingEngine
from examples.stdlib_corpus import describe_modules
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.traffic import TrafficRecord, WastePlan, generate_traffic
from tokenomics_core.types import Attribution, Usage, attribution

__all__ = ["Application", "Outcome", "StreamClock", "open_stand_in", "run_stream", "stream"]

CHEAP, DEAR, MIDDLE = "gpt-4.1-nano", "gpt-4.1", "gpt-4.1-mini"
_MODELS = {"claude-sonnet-4-5": DEAR, "gpt-4.1": DEAR, "gpt-4.1-mini": MIDDLE}
_SENT = ("temperature", "max_tokens")
_ON_THE_WIRE = frozenset({"messages", "model", "tools", "stream", "stream_options"})


class StreamClock:
    """Seconds since 1970 by the stream: it stands still until the next request."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def move_to(self, at: datetime) -> None:
        self.now_s = at.timestamp()


class Application(Protocol):
    """Sends one request and returns what the model said, in words."""

    def ask(self, request: TrafficRecord) -> str:
        """Send the messages of a record, with its model, tools and settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request.

    Attributes:
        request: As it was generated.
        answer: What came back; None where it was refused.
        sent: The request as the provider saw it; None where the provider did not.
    """

    request: TrafficRecord
    answer: str | None
    sent: TrafficRecord | None = field(default=None)


class Scribe:
    """Passes requests on and keeps the last answer, for the log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.last = ProviderAnswer()

    def answer(self, request: ProviderRequest) -> ProviderAnswer:
        self.last = self._engine.answer(request)
        return self.last


@contextmanager
def open_stand_in() -> Iterator[tuple[LoopbackProvider, Scribe]]:
    """Serve the stream from a thread; every prompt is new to the provider's prompt cache."""
    readers = {CHEAP: WEAK_READER, MIDDLE: STRONG_READER, DEAR: STRONG_READER}
    hours = itertools.count(0, 3_600)
    scribe = Scribe(ReadingEngine(readers, clock=lambda: float(next(hours))))
    with LoopbackProvider(scribe, keep_alive=False, keep_requests=4) as provider:
        yield provider, scribe


def stream(n: int, *, seed: int) -> list[TrafficRecord]:
    """Generate requests; how they were answered is not looked at, and none of them fails here.

    Every third of those without tools asks one of the demo's questions instead, of which many are asked in
    other words, too, and some are near misses.
    """
    waste = replace(WastePlan.all(), exact_repeats=0.1, batchable=0.0)  # its nights need hundreds of calls
    made = sorted(generate_traffic(n, seed=seed, waste=waste), key=lambda record: record.at)
    asked = itertools.cycle(_asked(random.Random(seed)))
    notes = {"role": "system", "content": "Answer from these notes.\n" + "\n".join(describe_modules()[:30])}
    return [
        replace(
            _request(record, (notes, {"role": "user", "content": next(asked)})), model=MIDDLE, settings={}
        )
        if number % 3 == 0 and not record.tools
        else _request(record, record.messages or ())
        for number, record in enumerate(made)
    ]


def _asked(rng: random.Random) -> list[str]:
    """Return the questions that are asked in other words, too, each before those and its near misses."""
    families: dict[str, list[str]] = {}
    for question in load_questions():
        if question.conversation is None:
            families.setdefault(question.of or question.id, []).append(question.text)
    several = [texts for texts in families.values() if len(texts) > 1]
    rng.shuffle(several)
    return [text for texts in several for text in (*texts, texts[0])]


def _request(record: TrafficRecord, messages: Sequence[Mapping[str, Any]]) -> TrafficRecord:
    return TrafficRecord(
        at=record.at,
        id=record.id,
        model=_MODELS.get(record.model, CHEAP),
        messages=messages,
        tools=record.tools,
        settings={name: record.settings[name] for name in _SENT if name in record.settings},
        attribution=record.attribution,
    )


def run_stream(
    requests: Iterable[TrafficRecord],
    application: Application,
    stand_in: tuple[LoopbackProvider, Scribe],
    clock: StreamClock | None = None,
) -> list[Outcome]:
    """Send every request at its time, for whom it was made, and say what became of it."""
    provider, scribe = stand_in
    outcomes = []
    for request in requests:
        if clock is not None:
            clock.move_to(request.at)
        before = provider.count()
        with _for(request.attribution):
            try:
                answer: str | None = application.ask(request)
            except BudgetExceededError:
                answer = None
        sent = (
            _as_seen(request, provider.requests[-1].body, scribe.last) if provider.count() > before else None
        )
        outcomes.append(Outcome(request=request, answer=answer, sent=sent))
    return outcomes


def _for(who: Attribution) -> Any:
    return attribution(
        user=who.user,
        feature=who.feature,
        project=who.project,
        conversation=who.conversation,
        run=who.run,
        tags=dict(who.tags),
    )


def _as_seen(request: TrafficRecord, body: Mapping[str, Any], answer: ProviderAnswer) -> TrafficRecord:
    """Write a request and its answer down as a gateway would that sees what goes over the wire."""
    usage = answer.usage
    return TrafficRecord(
        at=request.at,
        id=request.id,
        model=body["model"],
        provider="openai",
        messages=body["messages"],
        tools=body.get("tools") or (),
        settings={name: value for name, value in body.items() if name not in _ON_THE_WIRE},
        answer=answer.text or None,
        tool_calls=[
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _text(call.arguments)},
            }
            for call in answer.tool_calls
        ],
        finish_reason=answer.why_finished,
        usage=Usage()
        if usage is None
        else Usage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens),
        attribution=request.attribution,
        latency_s=1.0,
    )


def _text(arguments: str | Mapping[str, Any]) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
