"""Remember which runs were stopped, so that a swallowed error stops their next call too."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from llama_index_instrumentation.dispatcher import active_instrument_tags

from llama_index_tokenomics._spans import Span
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.observability import CallStart

__all__ = ["Stops", "runs_here"]

_MOST_RUNS = 10_000
_MOST_ERRORS = 1_000
_RUN_ID = "llamaindex.run_id"
_watched: ContextVar[tuple[tuple[Stops, list[BudgetExceededError]], ...]] = ContextVar(
    "tokenomics_watched_refusals", default=()
)


class Stops:
    """The runs in which a call was refused.

    A run is whatever LlamaIndex does for one call from outside: a query, a chat turn, an agent's or a
    workflow's run, with everything nested in it. A model that is called directly is no run: its caller gets
    the error. A run that has a name in the attribution is one, too, if a limit on runs refused it.
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[str, BudgetExceededError] = OrderedDict()
        self._errors: deque[BudgetExceededError] = deque(maxlen=_MOST_ERRORS)
        self._lock = threading.Lock()
        self.refused_calls = 0

    @property
    def errors(self) -> tuple[BudgetExceededError, ...]:
        """The latest refusals, the oldest first."""
        with self._lock:
            return tuple(self._errors)

    def check(self, span: Span, call: CallStart) -> None:
        """Refuse a call of a run that was stopped.

        Raises:
            BudgetExceededError: What stopped the run, with the rule `run stopped`, or that of a loop.
        """
        before = self._find(_runs_of(span, call))
        if before is not None:
            raise _copy(before)

    def note(self, span: Span, call: CallStart, error: BudgetExceededError) -> None:
        """Stop the run that a refused call belongs to."""
        error = _copy(error)  # the original holds the frames that it passed, and what is in them
        if (refused := self._refused_here()) is not None:
            refused.append(error)
        with self._lock:
            self.refused_calls += 1
            self._errors.append(error)
        self._stop(_runs_of(span, call, error), _copy(error, "run stopped"))

    def stop(self, runs: Iterable[str], error: BudgetExceededError) -> None:
        """Have the next call of a run refused by a rule that no call of a model has broken."""
        self._stop(runs, _copy(error))

    def _stop(self, runs: Iterable[str], error: BudgetExceededError) -> None:
        with self._lock:
            for run in runs:
                self._runs.setdefault(run, error)
            while len(self._runs) > _MOST_RUNS:
                self._runs.popitem(last=False)

    def clear(self) -> None:
        """Let every run go on, and forget what was refused."""
        with self._lock:
            self._runs.clear()
            self._errors.clear()

    @contextmanager
    def reraise(self) -> Iterator[None]:
        """Raise at the end of a block the first refusal in it that was swallowed."""
        refused: list[BudgetExceededError] = []
        token = _watched.set((*_watched.get(), (self, refused)))
        try:
            yield
        finally:
            _watched.reset(token)
            if (outer := self._refused_here()) is not None:
                outer += refused
        if refused:
            raise refused[0]

    def _refused_here(self) -> list[BudgetExceededError] | None:
        """Return what was refused in the innermost block that is watched here."""
        return next((refused for owner, refused in reversed(_watched.get()) if owner is self), None)

    def _find(self, runs: Iterable[str]) -> BudgetExceededError | None:
        if refused := self._refused_here():
            return refused[0]
        if not self._runs:
            return None
        with self._lock:
            return next((error for run in runs if (error := self._runs.get(run)) is not None), None)


def _runs_of(span: Span, call: CallStart, error: BudgetExceededError | None = None) -> Iterator[str]:
    """Name the runs that a call is part of; that of the attribution only where it was refused as such."""
    yield from runs_here(span)
    run = call.attribution.run
    if run is not None and (error is None or "run" in error.scope.split("+")):
        yield f"run {run}"


def runs_here(span: Span) -> Iterator[str]:
    """Name the runs that a span is part of: that of its workflow, and the outermost span around it."""
    run_id = active_instrument_tags.get().get(_RUN_ID)
    if run_id is not None:
        yield f"workflow {run_id}"
    if span.root is not None:
        yield f"span {span.root}"


def _copy(error: BudgetExceededError, rule: str | None = None) -> BudgetExceededError:
    return BudgetExceededError(
        error.scope,
        error.key,
        error.window,
        error.unit,
        error.limit,
        error.committed,
        error.requested,
        error.rule if rule is None else rule,
    )
