"""The bill of a block of code, growing while it runs."""

from __future__ import annotations

import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, Literal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.observability._estimate import Estimate, estimate_call
from tokenomics_core.observability._frame import to_dataframe
from tokenomics_core.observability._plot import plot_records
from tokenomics_core.observability._price_data import PriceData
from tokenomics_core.observability._report_lines import tally_by
from tokenomics_core.observability._report_table import report_table
from tokenomics_core.protocols import Pricer
from tokenomics_core.rendering import Notice, Table, to_html, to_rich, to_text
from tokenomics_core.types import SpendRecord, Tally, Totals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["CostReport", "Estimate"]

_log = logging.getLogger("tokenomics")
_SECTIONS = ("model", "feature", "user")
_MAX_ROWS = 15
_EMBEDDING = "embedding"
# Not the ambient context: a caller may have set a low precision, and a bill does not depend on that.
_EXACT = Context(prec=200)


class CostReport:
    """What calls cost, by whatever one asks for; shows itself in a notebook and in a terminal.

    Any number of threads may add to it. The names that `get_openai_callback` (`total_tokens`, `total_cost`)
    and LlamaIndex's `TokenCountingHandler` (`total_llm_token_count`) gave their sums work here too.

    Args:
        title: A heading.
        prices: What `estimate` prices with; the shared price book where none is given.
        price_data: Version and date of the price data in words; asked from `prices` where none is given.
    """

    def __init__(
        self, *, title: str | None = None, prices: Pricer | None = None, price_data: str | None = None
    ) -> None:
        self.title = title
        self.failed_callbacks = 0
        self.failures = 0
        self._prices = prices
        self._price_data = price_data
        self._known_data: PriceData | None = None
        self._records: dict[str, SpendRecord] = {}
        self._sums, self._embedded = Tally(), Tally()
        self._callbacks: dict[int, Callable[[SpendRecord], object]] = {}
        self._numbers = itertools.count()
        self._failed: set[int] = set()
        self._lock = threading.RLock()

    # -- filling -------------------------------------------------------------

    def add(self, record: SpendRecord) -> bool:
        """Take in a record and say whether it was new; one call counts once however often it is recorded.

        Raises:
            ConfigurationError: It is no record; nothing was added.
        """
        if not isinstance(record, SpendRecord):
            raise ConfigurationError(f"a report takes a SpendRecord, not {record!r:.80}; nothing was added")
        with self._lock:
            if record.id in self._records:
                return False
            self._records[record.id] = record
            self._sums.add(record)
            if record.operation == _EMBEDDING:
                self._embedded.add(record)
            callbacks = list(self._callbacks.items()) if self._callbacks else ()
        for number, callback in callbacks:
            self._tell(number, callback, record)
        return True

    def subscribe(self, callback: Callable[[SpendRecord], object]) -> Callable[[], None]:
        """Call a function with every record that is added from now on; what is returned ends that.

        It runs in the thread of the call that was recorded. If it raises, the failure is logged once and
        counted in `failed_callbacks`, and the call goes on.

        Raises:
            ConfigurationError: It cannot be called.
        """
        if not callable(callback):
            raise ConfigurationError(f"a subscriber must be a function, not {callback!r:.80}")
        with self._lock:
            number = next(self._numbers)
            self._callbacks[number] = callback

        def unsubscribe() -> None:
            with self._lock:
                self._callbacks.pop(number, None)

        return unsubscribe

    def _tell(self, number: int, callback: Callable[[SpendRecord], object], record: SpendRecord) -> None:
        try:
            callback(record)
        except Exception:  # noqa: BLE001 - an observer may not break the call it watches
            with self._lock:
                self.failed_callbacks += 1
                first = number not in self._failed
                self._failed.add(number)
            if first:
                _log.exception("a subscriber of a cost report failed; the call itself is not affected")

    # -- copying -------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy takes along, such as one that a worker process sends back.

        Subscribers and the price book stay behind: the copy shows which price data it was made with, and
        `estimate` asks the shared price book.
        """
        data = self._known_data or PriceData.of(self._prices)
        with self._lock:
            return {
                "title": self.title,
                "failed_callbacks": self.failed_callbacks,
                "failures": self.failures,
                "price_data": self._price_data,
                "known_data": data,
                "records": list(self._records.values()),
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        CostReport.__init__(self, title=state["title"], price_data=state["price_data"])
        self.failed_callbacks, self.failures = state["failed_callbacks"], state["failures"]
        self._known_data = state["known_data"]
        for record in state["records"]:
            self.add(record)

    # -- reading -------------------------------------------------------------

    @property
    def calls(self) -> list[SpendRecord]:
        """All records in the order in which they came, as a list of the caller's own."""
        with self._lock:
            return list(self._records.values())

    @property
    def totals(self) -> Totals:
        """The sums over all calls."""
        with self._lock:
            return self._sums.totals()

    @property
    def total_usd(self) -> Decimal:
        """The sum of all known costs; see `unpriced_calls` for what it leaves out."""
        return self._sums.cost_usd

    @property
    def avoided_usd(self) -> Decimal:
        """What the calls would have cost more without the package, as far as known."""
        return self._sums.avoided_usd

    @property
    def unpriced_calls(self) -> int:
        """Calls whose price is unknown; they add nothing to `total_usd`."""
        return self._sums.unpriced_calls

    @property
    def estimated_calls(self) -> int:
        """Calls whose usage the provider did not report in full."""
        return self._sums.estimated_calls

    @property
    def cached_calls(self) -> int:
        """Calls that a response cache answered."""
        return self._sums.cached_calls

    def by(self, dimension: str) -> dict[str, Decimal]:
        """Sum the known costs by a dimension or tag, the largest first; calls without it stand under `""`."""
        costs = [(name, tally.cost_usd) for name, tally in tally_by(self.calls, dimension).items()]
        return dict(sorted(costs, key=lambda item: (-item[1], item[0])))

    def totals_by(self, dimension: str) -> dict[str, Totals]:
        """Sum everything by a dimension or tag, the costliest first."""
        sums = {name: tally.totals() for name, tally in tally_by(self.calls, dimension).items()}
        return dict(sorted(sums.items(), key=lambda item: (-item[1].cost_usd, item[0])))

    # -- names known from elsewhere ------------------------------------------

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all paid calls; named as in `get_openai_callback`."""
        return self._sums.input_tokens + self._sums.output_tokens

    @property
    def prompt_tokens(self) -> int:
        """Input tokens of all paid calls, cached ones included; named as in `get_openai_callback`."""
        return self._sums.input_tokens

    @property
    def prompt_tokens_cached(self) -> int:
        """Input tokens read from providers' prompt caches; named as in `get_openai_callback`."""
        return self._sums.cache_read_tokens

    @property
    def completion_tokens(self) -> int:
        """Output tokens of all paid calls; named as in `get_openai_callback`."""
        return self._sums.output_tokens

    @property
    def reasoning_tokens(self) -> int:
        """The hidden part of the output; named as in `get_openai_callback`."""
        return self._sums.reasoning_tokens

    @property
    def successful_requests(self) -> int:
        """Calls that came to their end, answers from a cache left out; named as in `get_openai_callback`."""
        return sum(record.outcome == "ok" and record.source != "cache" for record in self.calls)

    @property
    def total_cost(self) -> float:
        """`total_usd` as a float; named as in `get_openai_callback`."""
        return float(self.total_usd)

    @property
    def total_llm_token_count(self) -> int:
        """Input and output tokens, embeddings left out; named as in `TokenCountingHandler`."""
        return self.prompt_llm_token_count + self.completion_llm_token_count

    @property
    def prompt_llm_token_count(self) -> int:
        """Input tokens, embeddings left out; named as in `TokenCountingHandler`."""
        return self._sums.input_tokens - self._embedded.input_tokens

    @property
    def completion_llm_token_count(self) -> int:
        """Output tokens, embeddings left out; named as in `TokenCountingHandler`."""
        return self._sums.output_tokens - self._embedded.output_tokens

    @property
    def total_embedding_token_count(self) -> int:
        """Tokens that were embedded; named as in `TokenCountingHandler`."""
        return self._embedded.input_tokens

    # -- asking beforehand ---------------------------------------------------

    def estimate(
        self,
        messages: Any,
        model: str,
        *,
        max_output_tokens: int | None = None,
        provider: str | None = None,
    ) -> Estimate:
        """Price a call before it is made.

        The answer is taken to be as long as the median of this report's earlier answers of the model, else
        `max_output_tokens`; where neither is known only the input is priced. No part of the input is taken to
        be in the provider's prompt cache.

        Args:
            messages: A text, or messages as the framework or the provider writes them.
            model: The model that would be called.
            max_output_tokens: The cap on the answer that the request will carry.
            provider: Who would serve it, where the name alone does not tell.

        Raises:
            ConfigurationError: `max_output_tokens` is not a whole number of 0 or more.
        """
        prices = self._prices
        if prices is None:
            from tokenomics_core.pricing import default_price_book  # noqa: PLC0415 - loads the price table

            prices = default_price_book()
        return estimate_call(
            messages,
            model,
            records=self.calls,
            prices=prices,
            max_output_tokens=max_output_tokens,
            provider=provider,
        )

    # -- showing -------------------------------------------------------------

    def to_table(self, by: str | Sequence[str] = _SECTIONS, *, max_rows: int = _MAX_ROWS) -> Table:
        """Return the report as a table with one section per dimension or tag.

        Args:
            by: The sections; one in which no call has a value is left out.
            max_rows: The rows of a section; the costliest are shown and the others summed in the last.

        Raises:
            ConfigurationError: `by` holds no names, or `max_rows` is less than 2; nothing was drawn.
        """
        if not isinstance(by, (str, tuple, list)):
            raise ConfigurationError(f"by must be names of dimensions or tags, not {by!r}; nothing was drawn")
        if type(max_rows) is not int or max_rows < 2:
            raise ConfigurationError(f"max_rows must be 2 or more, not {max_rows!r}; nothing was drawn")
        data = self._known_data or PriceData.of(self._prices)
        with localcontext(_EXACT):
            table = report_table(
                self.calls,
                title=self.title or "Cost report",
                by=(by,) if isinstance(by, str) else tuple(by),
                price_data=self._price_data or data.describe(),
                is_stale=data.is_stale,
                max_rows=max_rows,
            )
        if not self.failures:
            return table
        calls = "1 call" if self.failures == 1 else f"{self.failures:,} calls"
        lost = f"{calls} could not be priced, recorded or written to the ledger; the log says why"
        return replace(table, notices=(Notice(lost, "error"), *table.notices))

    def count_failure(self) -> None:
        """Note that a call could not be priced, recorded or written to the ledger as it should."""
        with self._lock:
            self.failures += 1

    def to_dataframe(self, *, money: Literal["decimal", "float"] = "decimal") -> DataFrame:
        """Return one row per call, in the columns of a ledger's frame and in the order of time.

        What is unknown is missing, never 0.

        Args:
            money: Amounts as exact `decimal` objects, or as `float` for plots; unknown is None or NaN.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return to_dataframe(self.calls, money)

    def plot(self, by: str = "model", *, kind: str = "bar", ax: Axes | None = None) -> Axes:
        """Draw the cost and return the axes.

        Args:
            by: The dimension or tag with a bar for each value.
            kind: `bar`, with what was avoided hatched beside the cost, or `time`, the cost as it grew.
            ax: Where to draw; a new figure where none is given.

        Raises:
            ConfigurationError: `kind` is something else.
            MissingExtraError: matplotlib is not installed.
        """
        return plot_records(self.calls, by=by, kind=kind, title=self.title, ax=ax)

    def _repr_html_(self) -> str:
        return to_html(self.to_table())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython's interface
        printer.text(str(self))

    def __rich__(self) -> Any:
        return to_rich(self.to_table())

    def __str__(self) -> str:
        return to_text(self.to_table(), max(40, shutil.get_terminal_size((100, 24)).columns))

    def __repr__(self) -> str:
        totals = self.totals
        unpriced = f", {totals.unpriced_calls} unpriced" if totals.unpriced_calls else ""
        return f"<CostReport {totals.cost_usd:f} USD, {totals.calls} calls{unpriced}>"
