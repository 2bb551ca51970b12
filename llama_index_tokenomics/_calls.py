"""Count each provider call once, however many events LlamaIndex sends for it."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from llama_index_tokenomics._responses import Response, content_of, delta_of, has_usage, text_of
from tokenomics_core.observability import CallEnd, CallStart, CallTracker
from tokenomics_core.protocols import Ledger

__all__ = ["CallBook", "OpenCall", "Sink"]

_MOST_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Sink:
    """Where finished calls go, and what is wanted of them.

    Attributes:
        tracker: Takes the calls.
        stream_usage: Whether streams are asked to report usage.
        embeddings: Whether embedding calls are recorded.
        keep_content: Whether prompts and answers are kept.
        ledger: The ledger that an installed sink writes to.
        takes_hits: Whether answers from a cache are recorded.
        guard: What has to admit each call; None where it is only watched.
    """

    tracker: CallTracker
    stream_usage: bool = True
    embeddings: bool = False
    keep_content: bool = False
    ledger: Ledger | None = None
    takes_hits: bool = True
    guard: Any = None


@dataclass(slots=True, eq=False)
class Voice:
    """What a call says, by itself and through the models that pass it on.

    Attributes:
        order: Calls that began later have a higher one.
        said: The objects that the last piece of an answer consists of, in every form.
        is_done: Whether the call has ended.
    """

    order: int = 0
    said: list[object] = field(default_factory=list)
    is_done: bool = False


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that began and has not ended.

    Attributes:
        start: What was known when it began.
        sinks: Where it will be recorded.
        lifetimes: For how long the request asks Anthropic to cache parts of it.
        is_lazy: Whether nothing is sent until the first piece of a stream is read.
        latest: The last piece of a stream.
        reported: The last piece that carried usage.
        pieces: The text of all pieces.
        voice: Tells this call's answers from those of others.
        stream: The generator that the caller reads.
    """

    start: CallStart
    sinks: tuple[Sink, ...]
    lifetimes: frozenset[str] = frozenset()
    is_lazy: bool = False
    latest: Response | None = None
    reported: Response | None = None
    pieces: list[str] = field(default_factory=list)
    voice: Voice = field(default_factory=Voice)
    stream: weakref.ref[Any] | None = None


class CallBook:
    """Pair the starts and ends of calls and leave out those that only pass on what another one said.

    A model that asks another (or itself, by another method) sends events of its own. It is left out as soon
    as a call begins inside it, or says the very same object as an answer while it is under way.

    Args:
        read_end: Turns a call and its last response into what is recorded.
    """

    def __init__(self, read_end: Callable[[OpenCall, Response | None], CallEnd]) -> None:
        self._read_end = read_end
        self._open: dict[str, OpenCall] = {}
        self._passing_on: OrderedDict[str, Voice] = OrderedDict()
        self._speakers: dict[int, tuple[object, Voice]] = {}
        self._answers: OrderedDict[int, tuple[Callable[[], Any], int]] = OrderedDict()
        self._order = count()

    def __len__(self) -> int:
        return len(self._open) + len(self._passing_on) + len(self._speakers)

    def begin(self, span_id: str, call: OpenCall, *, inside: Iterable[str]) -> None:
        """Note that a call began, inside the calls of other spans."""
        wrappers = [outer for outer in inside if self.discard(outer) or outer in self._passing_on]
        if not call.sinks:
            return
        call.voice.order = next(self._order)
        self._open[span_id] = call
        for outer in wrappers:
            self._passing_on[outer] = call.voice
        _trim(self._passing_on)
        for index, sink in enumerate(call.sinks):
            sink.tracker.start(replace(call.start) if index else call.start)

    def attach(self, span_id: str, stream: object) -> None:
        """Watch the generator that a call returned, which may be dropped before its end."""
        call = self._open.get(span_id)
        if call is None:
            return
        for sink in call.sinks:
            sink.tracker.stream(call.start.key)
        call.stream = weakref.ref(stream, lambda _: self._abandon(span_id))

    def progress(self, span_id: str, response: Response) -> None:
        """Take the next piece of a stream."""
        call = self._open.get(span_id)
        if call is None:
            if (voice := self._passing_on.get(span_id)) is not None and not voice.is_done:
                self._say(voice, response)
            return
        if self._repeats(call, response):
            self.discard(span_id)
            return
        self._unsay(call.voice)
        self._say(call.voice, response)
        call.latest = response
        if has_usage(response):
            call.reported = response
        if piece := delta_of(response):
            call.pieces.append(piece)

    def finish(self, span_id: str, response: Response | None) -> None:
        """Record a call that ended well."""
        call = self._open.get(span_id)
        if call is None:
            voice = self._passing_on.pop(span_id, None)
            if voice is not None and response is not None:
                self._remember(voice, response)
            return
        if response is not None and self._repeats(call, response):
            self.discard(span_id)
            return
        self._close(span_id)
        if response is not None and call.latest is None:
            self._remember(call.voice, response)
        end = self._read_end(call, response)
        key = call.start.key
        for sink, told in self._told(call, end, response):
            if told is not None:
                sink.tracker.finish(key, told)

    def fail(self, span_id: str, error: BaseException) -> None:
        """Record what a call that raised has cost."""
        call = self._close(span_id)
        if call is None:
            self._passing_on.pop(span_id, None)
            return
        end = None
        if call.latest is not None:
            end = self._read_end(call, call.latest)
            end.output = max(text_of(call.latest), "".join(call.pieces), key=len)
        for sink, told in self._told(call, end, call.latest):
            sink.tracker.fail(call.start.key, error, end=told)

    def discard(self, span_id: str) -> bool:
        """Forget a call that was not one; tell whether there was any."""
        call = self._close(span_id)
        if call is None:
            return False
        for sink in call.sinks:
            sink.tracker.discard(call.start.key)
        return True

    def _abandon(self, span_id: str) -> None:
        """Settle a stream that nobody will read any more."""
        call = self._open.get(span_id)
        if call is None:
            return
        try:
            if call.latest is None and call.is_lazy:
                self.discard(span_id)
            else:
                self.fail(span_id, GeneratorExit())
        except Exception:  # noqa: BLE001 - the garbage collector has nobody to tell
            for sink in call.sinks:
                sink.tracker.count_failure()

    def _close(self, span_id: str) -> OpenCall | None:
        call = self._open.pop(span_id, None)
        if call is not None:
            self._unsay(call.voice)
            call.voice.is_done = True
        return call

    def _told(
        self, call: OpenCall, end: CallEnd | None, response: Response | None
    ) -> Iterator[tuple[Sink, CallEnd | None]]:
        for sink in call.sinks:
            if sink.keep_content and end is not None:
                yield sink, replace(end, content=content_of(call.start.prompt, text_of(response)))
            else:
                yield sink, end

    def _repeats(self, call: OpenCall, response: Response) -> bool:
        """Whether a call that began later has already said this."""
        order = call.voice.order
        for part in _parts(response):
            said, voice = self._speakers.get(id(part), _NOBODY)
            if said is part and voice.order > order:
                return True
            answer, later = self._answers.get(id(part), _NOTHING)
            if later > order and answer() is part:
                return True
        return False

    def _remember(self, voice: Voice, response: Response) -> None:
        for part in _parts(response):
            try:
                self._answers[id(part)] = weakref.ref(part), voice.order
            except TypeError:  # a plain dictionary cannot be remembered without keeping it
                continue
        _trim(self._answers)

    def _say(self, voice: Voice, response: Response) -> None:
        for part in _parts(response):
            voice.said.append(part)
            self._speakers[id(part)] = part, voice

    def _unsay(self, voice: Voice) -> None:
        for part in voice.said:
            self._speakers.pop(id(part), None)
        voice.said.clear()


_NOBODY = (None, Voice(order=-1))
_NOTHING: tuple[Callable[[], Any], int] = (lambda: None, -1)


def _trim(entries: OrderedDict[Any, Any]) -> None:
    while len(entries) > _MOST_REMEMBERED:
        try:
            entries.popitem(last=False)
        except KeyError:  # another thread was faster
            return


def _parts(response: Response) -> tuple[object, ...]:
    raw = response.raw
    return (response,) if not raw or isinstance(raw, (str, int, float)) else (response, raw)
