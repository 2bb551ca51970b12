"""Know which run a model call belongs to, and which calls only wrap another."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM

__all__ = ["Model", "Span", "SpanTree"]

Model = BaseLLM | BaseEmbedding

_MOST_OPEN = 10_000
_MOST_LEFT = 512


@dataclass(slots=True, eq=False)
class Span:
    """One traced function that is running, or ran a moment ago.

    Attributes:
        id: Its name, unique.
        root: The id of the outermost span around it that is not a model; None where there is none.
        model: The model whose method this is, while the span is open.
        is_model: Whether it is a model's method.
        models_above: The spans of models around it, the nearest first.
        is_wrapper: Whether a model inside it was seen at work, so that it is not a provider call itself.
    """

    id: str
    root: str | None = None
    model: Model | None = None
    is_model: bool = False
    models_above: tuple[Span, ...] = ()
    is_wrapper: bool = False

    @property
    def method(self) -> str:
        """The name of the traced function."""
        return self.id.partition("-")[0].rpartition(".")[2]


class SpanTree:
    """Remember open spans, and for a while those that ended.

    A thread or task that was started inside a span may outlive it, so the spans that ended last are kept.
    Both maps are bounded; safe for any number of threads, since each step is one operation on a dictionary.
    """

    def __init__(self, *, most_open: int = _MOST_OPEN, most_left: int = _MOST_LEFT) -> None:
        self._open: OrderedDict[str, Span] = OrderedDict()
        self._left: OrderedDict[str, Span] = OrderedDict()
        self._most_open, self._most_left = most_open, most_left

    def __len__(self) -> int:
        return len(self._open) + len(self._left)

    def find(self, id_: str | None) -> Span | None:
        """Return a span that is open, or ended a moment ago."""
        if id_ is None:
            return None
        return self._open.get(id_) or self._left.get(id_)

    def enter(self, id_: str, parent_id: str | None, instance: object) -> Span:
        """Note that a span began."""
        parent = self.find(parent_id)
        model = instance if isinstance(instance, (BaseLLM, BaseEmbedding)) else None
        span = Span(id_, root=None if model is not None else id_, model=model, is_model=model is not None)
        if parent is not None:
            span.root = parent.root or span.root
            span.models_above = (parent, *parent.models_above) if parent.is_model else parent.models_above
        self._open[id_] = span
        _trim(self._open, self._most_open)  # spans whose end nobody told
        return span

    def leave(self, id_: str) -> Span | None:
        """Note that a span ended."""
        span = self._open.pop(id_, None)
        if span is not None:
            span.model = None
            self._left[id_] = span
            _trim(self._left, self._most_left)
        return span

    def keep(self, span: Span) -> None:
        """Remember a span that has ended for a while longer."""
        if span.id not in self._open:
            self._left[span.id] = span
            _trim(self._left, self._most_left)


def _trim(spans: OrderedDict[str, Span], most: int) -> None:
    while len(spans) > most:
        try:
            spans.popitem(last=False)
        except KeyError:  # another thread was faster
            return
