"""Learn from fresh answers and from readers which near questions have the same answer."""

from __future__ import annotations

from functools import partial
from typing import Final

from tokenomics_core.cache._asking import FAILED, PENDING, Asking, Steps
from tokenomics_core.cache._entry import Selector
from tokenomics_core.cache._hit import Hit, Lookup
from tokenomics_core.cache._protocols import Decision

__all__ = ["Learning"]

_SAVE_EVERY: Final = 100


class Learning(Asking):
    """Teaches the policy."""

    def learned_group(self, lookup: Lookup, text: str) -> Steps[str | None]:
        """Compare a fresh answer with those of the near groups; return the group it belongs to."""
        decision, now = lookup.decision, self.parts.clock()
        same: dict[str, bool] = {}
        for group in () if decision is None else decision.compare:
            near = next((item for item in lookup.neighbours if item.group == group), None)
            if near is None:
                continue
            entry = yield from self.ask_store("read", near.id, now)
            if entry is None or entry is FAILED or entry.answer is None:
                continue
            told = yield from self._compare(text, entry.answer)
            if told is not None:
                same[group] = told
        if decision is not None and same:
            yield from self._taught(decision, same, given=False)
            yield from self.save_policy(only_if_due=True)
        return next((group for group, told in same.items() if told), None)

    def _taught(self, decision: Decision, same: dict[str, bool], *, given: bool) -> Steps[None]:
        """Tell the policy, which may take some milliseconds now and then."""
        parts = self.parts
        learn = partial(parts.policy.learn, parts.namespace, decision, same, given=given)
        try:
            yield "call", learn, ()
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            parts.watch.failed("policy", error, "it did not learn")
            return
        with self._lock:
            self._unsaved += 1

    def _compare(self, fresh: str, stored: str) -> Steps[bool | None]:
        comparer = self.parts.comparer
        told = comparer.by_form(fresh, stored)
        if told is None and comparer.uses_meaning and self.parts.fits(fresh) and self.parts.fits(stored):
            try:
                vectors = yield "embed", [fresh, stored], ()
                told = comparer.by_meaning(float(vectors[0] @ vectors[1]))
            except Exception as error:  # noqa: BLE001 - an embedder that fails may not break the call
                self.parts.watch.failed("embedder", error, "answers were not compared")
        if told is None and comparer.judge is not None:
            try:
                told = yield "call", comparer.judge, (fresh, stored)
            except Exception as error:  # noqa: BLE001 - a judge that fails may not break the call
                self.parts.watch.failed("judge", error, "answers were not compared")
        return told

    def save_policy(self, *, only_if_due: bool) -> Steps[None]:
        """Keep what the policy has learned, now and then or at the end."""
        with self._lock:
            if self._unsaved < (_SAVE_EVERY if only_if_due else 1):
                return
            self._unsaved = 0
        policy, namespace = self.parts.policy, self.parts.namespace
        try:
            state = policy.state(namespace)
        except Exception as error:  # noqa: BLE001 - a policy that fails may not break the call
            self.parts.watch.failed("policy", error, "what it learned was not saved")
            return
        yield from self.ask_store("save_state", self.state_name, state)

    @property
    def state_name(self) -> str:
        """Where the policy's state is kept."""
        return f"policy {self.parts.policy.name} of {self.parts.namespace}"

    def feedback(self, hit: Hit, *, correct: bool) -> Steps[None]:
        """Learn from who read the answer; one that was wrong is not served for this question again."""
        parts, lookup = self.parts, hit.lookup
        parts.counts.add("right" if correct else "wrong")
        if lookup is not None and lookup.decision is not None and hit.kind == "semantic":
            yield from self._taught(lookup.decision, {hit.group: correct}, given=True)
            yield from self.save_policy(only_if_due=True)
        if correct:
            return
        if hit.kind == "exact":
            selector = Selector(id=hit.entry_id)
            parts.changes.add(selector)
            yield "store", "invalidate", (selector,)
        elif lookup is not None:
            place = (lookup.partition, lookup.key)
            with self._lock:
                self._disproved[place] = self._disproved.get(place, frozenset()) | {hit.group}
                if len(self._disproved) > PENDING:
                    self._disproved.popitem(last=False)
