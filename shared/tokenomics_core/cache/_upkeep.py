"""Keep a cache true, small and understood: invalidation, feedback, statistics, explanations, closing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any

from tokenomics_core.cache._asking import FAILED, Steps
from tokenomics_core.cache._background_work import BackgroundWork
from tokenomics_core.cache._entry import Selector
from tokenomics_core.cache._events import CacheEvent, SeenVersions
from tokenomics_core.cache._explain import Explanation, explained
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._hit import Hit, checked_question
from tokenomics_core.cache._protocols import PolicyReport
from tokenomics_core.cache._runner import Runner
from tokenomics_core.cache._stats import CacheStats, Counts
from tokenomics_core.cache._turn import LEASE_S, Turns
from tokenomics_core.cache._warm_up import WarmUp, warmed_up
from tokenomics_core.cache._watch import Watch
from tokenomics_core.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import CachePolicy, CacheStore
    from tokenomics_core.embedding import Embedder

__all__ = ["Upkeep"]

_CLOSE_WITHIN_S = 10.0
_Names = str | Iterable[str] | None


class Upkeep:
    """What `ResponseCache` does besides answering."""

    store: CacheStore
    embedder: Embedder
    policy: CachePolicy
    namespace: str
    _flow: Flow
    _turns: Turns
    _watch: Watch
    _counts: Counts
    _versions: SeenVersions
    _work: BackgroundWork
    _runner: Runner

    # -- what is no longer true

    def invalidate(
        self,
        *,
        source: _Names = None,
        tag: _Names = None,
        model: _Names = None,
        older_than: float | timedelta | datetime | None = None,
        tenant: str | None = None,
        partition: str | None = None,
        version: str | None = None,
        prefix: str | None = None,
        entry_id: str | None = None,
    ) -> int:
        """Drop what meets every condition that is given, at once, for all who use the store.

        What is being computed meanwhile and meets them is not stored either, by this process.

        Args:
            source: Drawn from this document, or one of these.
            tag: Labelled with this tag, or one of these.
            model: Given by this model, or one of these.
            older_than: Stored more than so many seconds ago, so long ago, or before this moment.
            tenant: Of this tenant.
            partition: In this partition.
            version: Stored under this version.
            prefix: To questions that begin like this, after normalisation.
            entry_id: This entry.

        Returns:
            How many live entries it was.

        Raises:
            ConfigurationError: No condition is given, or one is wrong.
            StoreError: The store could not be reached; what is there is still served.
        """
        selectors = self._selectors(
            source, tag, model, older_than, tenant, partition, version, prefix, entry_id
        )
        return self._runner.run(self._invalidated(selectors))

    async def ainvalidate(self, **conditions: Any) -> int:
        """Drop what meets every condition, without blocking the event loop; takes what `invalidate` takes."""
        names = (
            "source",
            "tag",
            "model",
            "older_than",
            "tenant",
            "partition",
            "version",
            "prefix",
            "entry_id",
        )
        if unknown := sorted(set(conditions) - set(names)):
            raise TypeError(f"ainvalidate() got an unexpected keyword argument {unknown[0]!r}")
        selectors = self._selectors(*(conditions.get(name) for name in names))
        return await self._runner.run_async(self._invalidated(selectors))

    def clear(self) -> int:
        """Drop everything in the store, whatever its namespace; return how many live entries it was."""
        return self._runner.run(self._invalidated([Selector()]))

    async def aclear(self) -> int:
        """Drop everything in the store, without blocking the event loop."""
        return await self._runner.run_async(self._invalidated([Selector()]))

    def forget(self, *, tenant: str) -> int:
        """Drop all answers of a tenant; return how many."""
        return self.invalidate(tenant=tenant)

    async def aforget(self, *, tenant: str) -> int:
        """Drop all answers of a tenant, without blocking the event loop."""
        return await self.ainvalidate(tenant=tenant)

    def on_source_changed(self, source_id: str, version: str | None = None) -> int:
        """Drop what was drawn from a document that has changed; register it with your content system.

        Told of the same version twice, as by systems that deliver at least once, it drops nothing the second
        time.
        """
        if not self._versions.is_news(source_id, version):
            return 0
        try:
            return self.invalidate(source=source_id)
        except StoreError:
            self._versions.is_news(source_id, None)
            raise

    async def aon_source_changed(self, source_id: str, version: str | None = None) -> int:
        """Drop what was drawn from a document that has changed; see `on_source_changed`."""
        if not self._versions.is_news(source_id, version):
            return 0
        try:
            return await self.ainvalidate(source=source_id)
        except StoreError:
            self._versions.is_news(source_id, None)
            raise

    def subscribe(self, listener: Callable[[CacheEvent], None]) -> Callable[[], None]:
        """Call a function at every hit, miss, put, refusal, invalidation and eviction; returns what ends it.

        It is called where the event happens, so it should be quick; what it raises is counted only.
        """
        return self._flow.parts.listeners.add(listener)

    # -- what was learned

    def feedback(self, hit: Hit, correct: bool) -> None:
        """Learn from somebody who read an answer.

        A wrong answer to the same text is dropped. A wrong answer to another question stays with its own, and
        is not served to this one again as long as this cache lives; put the right one.

        Raises:
            StoreError: The wrong answer could not be dropped.
        """
        self._runner.run(self._flow.feedback(hit, correct=correct))

    async def afeedback(self, hit: Hit, correct: bool) -> None:
        """Learn from somebody who read an answer, without blocking the event loop; see `feedback`."""
        await self._runner.run_async(self._flow.feedback(hit, correct=correct))

    def stats(self) -> CacheStats:
        """Say what was saved and missed, and what the policy knows of its error."""
        return self._runner.run(self._stats())

    async def astats(self) -> CacheStats:
        """Say what was saved and missed, without blocking the event loop."""
        return await self._runner.run_async(self._stats())

    def explain(self, partition: str, question: str) -> Explanation:
        """Say what a question would be answered with and why; nothing is counted or learned."""
        checked_question(partition, question, "semantic")
        return self._runner.run(explained(self._flow, partition, question))

    async def aexplain(self, partition: str, question: str) -> Explanation:
        """Say what a question would be answered with and why, without blocking the event loop."""
        checked_question(partition, question, "semantic")
        return await self._runner.run_async(explained(self._flow, partition, question))

    # -- beginning and end

    def warm_up(
        self,
        source: str | PathLike[str] | Iterable[str | Mapping[str, Any]],
        *,
        partition: str | None = None,
    ) -> WarmUp:
        """Store questions and answers that are known already.

        Args:
            source: A file of JSON lines, or lines or mappings. Each has `question` and `answer` (or
                `payload`), maybe `partition`, and what `put` takes, `usage` as `Usage.to_dict` writes it.
            partition: Of lines that name none.

        Returns:
            How many were stored, how many refused, and every line that could not be read, with why.

        Raises:
            ConfigurationError: The file cannot be opened; nothing was stored.
        """
        return self._runner.run(warmed_up(self._flow, source, partition))

    async def awarm_up(
        self,
        source: str | PathLike[str] | Iterable[str | Mapping[str, Any]],
        *,
        partition: str | None = None,
    ) -> WarmUp:
        """Store questions and answers that are known already; see `warm_up`."""
        return await self._runner.run_async(warmed_up(self._flow, source, partition))

    def flush(self) -> None:
        """Write down what is kept back between writes: which entries were used, what the policy learned."""
        self._runner.run(self._flushed())

    async def aflush(self) -> None:
        """Write down what is kept back, without blocking the event loop."""
        await self._runner.run_async(self._flushed())

    def close(self) -> None:
        """Write down what is kept back and close the store."""
        self._work.wait(_CLOSE_WITHIN_S)
        self._runner.run(self._flushed())
        self.store.close()

    async def aclose(self) -> None:
        """Write down what is kept back and close the store, without blocking the event loop."""
        await self._work.wait_async(_CLOSE_WITHIN_S)
        await self._runner.run_async(self._flushed())
        await self._runner.run_async(self._closed())

    # -- inside

    def _open(self) -> None:
        """Bind the store to the embedder and take up what the policy learned before."""
        try:
            self.store.bind(self.embedder.identity, self.embedder.dimension)
            state = self.store.load_state(self._flow.state_name)
            if state is not None:
                self.policy.restore(self.namespace, state)
        except StoreError as error:
            self._watch.failed("store", error, "calls go on without it")

    def _invalidated(self, selectors: list[Selector]) -> Steps[int]:
        self._turns.flights.detach()
        dropped = yield from self._flow.invalidate(selectors)
        self._turns.flights.detach()
        return dropped

    def _selectors(
        self,
        source: _Names,
        tag: _Names,
        model: _Names,
        older_than: float | timedelta | datetime | None,
        tenant: str | None,
        partition: str | None,
        version: str | None,
        prefix: str | None,
        entry_id: str | None,
    ) -> list[Selector]:
        created_before = self._moment(older_than)
        selectors = [
            Selector(
                id=entry_id,
                partition=None if partition is None else self._flow.place(partition),
                tenant=tenant,
                source=one_source,
                tag=one_tag,
                model=one_model,
                version=version,
                prefix=prefix,
                created_before=created_before,
            )
            for one_source in _each(source)
            for one_tag in _each(tag)
            for one_model in _each(model)
        ]
        if any(selector == Selector() for selector in selectors):
            raise ConfigurationError(
                "invalidate needs a condition; nothing was dropped. clear() drops everything"
            )
        return selectors

    def _moment(self, older_than: float | timedelta | datetime | None) -> float | None:
        if older_than is None:
            return None
        if isinstance(older_than, datetime):
            if older_than.tzinfo is None:
                raise ConfigurationError(
                    f"older_than must have a time zone, not {older_than!r}; nothing was dropped"
                )
            return older_than.astimezone(UTC).timestamp()
        age_s = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
        if (
            isinstance(age_s, bool)
            or not isinstance(age_s, int | float)
            or not math.isfinite(age_s)
            or age_s < 0
        ):
            raise ConfigurationError(
                f"older_than must be 0 seconds or more, not {older_than!r}; nothing was dropped"
            )
        return self._flow.parts.clock() - age_s

    def _stats(self) -> Steps[CacheStats]:
        size = yield from self._flow.ask_store("size", self._flow.parts.clock())
        try:
            report = self.policy.report(self.namespace)
        except Exception as error:  # noqa: BLE001 - statistics may not break who reads them
            self._watch.failed("policy", error, "nothing is known of its error")
            report = PolicyReport()
        return self._counts.stats(
            entries=None if size is FAILED else size.entries,
            n_bytes=None if size is FAILED else size.bytes,
            policy=report,
            failures=self._watch.failures,
        )

    def _flushed(self) -> Steps[None]:
        yield from self._flow.flush_uses()
        yield from self._flow.save_policy(only_if_due=False)

    def _closed(self) -> Steps[None]:
        yield "store", "close", ()

    def _renew(self, name: str, owner: str) -> None:
        try:
            self.store.claim(name, owner, LEASE_S, self._flow.parts.clock())
        except StoreError as error:
            self._watch.failed("store", error, "calls go on without it")

    def _let_go(self, name: str, owner: str) -> None:
        try:
            self.store.release(name, owner)
        except StoreError as error:
            self._watch.failed("store", error, "calls go on without it")

    def _guard_failed(self, name: str, error: Exception) -> None:
        self._watch.failed(f"guard {name}", error, "what it was asked about is neither stored nor served")

    def _prices_failed(self, error: Exception) -> None:
        self._watch.failed("price book", error, "the cost of answers is unknown")

    def _listener_failed(self, error: Exception) -> None:
        self._watch.failed("listener", error, "the cache goes on")


def _each(names: _Names) -> list[str | None]:
    """Return each name for a selector of its own; one without a name where none is given."""
    if names is None or isinstance(names, str):
        return [names]
    return list(names)
