"""Why a question is answered as it is, or is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenomics_core.cache._apart import apart, not_apart
from tokenomics_core.cache._asking import FAILED, Steps
from tokenomics_core.cache._entry import CacheEntry, Neighbour
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._protocols import Decision
from tokenomics_core.cache._text import key_of, normalised

__all__ = ["Candidate", "Explanation", "explained"]

_CANDIDATES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A stored question near the one that is asked.

    Attributes:
        question: As it was stored.
        similarity: Cosine of the two.
        group: Of answers that say the same.
        probability: That its answer is right, were it the nearest; None where the policy cannot say.
        guard: Which guard would object to serving it.
        entry_id: Of its entry.
    """

    question: str
    similarity: float
    group: str
    probability: float | None
    guard: str | None
    entry_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a question would be answered with, and why; it draws itself in notebooks and terminals.

    Attributes:
        partition: Where it was looked for.
        question: As it was asked.
        normalised: What is matched word for word.
        outcome: `exact`, `stale`, `semantic`, or why it would be a miss.
        why: The same in a sentence.
        guard: Which guard objects, where one does.
        exact: The stored question that is the same text, where there is one.
        candidates: Near questions, the nearest first.
        threshold: What a probability has to reach; None while nothing is served by meaning.
        guards: All content guards that were asked.
    """

    partition: str
    question: str
    normalised: str
    outcome: str
    why: str
    guard: str | None = None
    exact: str | None = None
    candidates: tuple[Candidate, ...] = ()
    threshold: float | None = None
    guards: tuple[str, ...] = ()

    def __str__(self) -> str:
        from tokenomics_core.cache._explain_table import explanation_text  # noqa: PLC0415 - drawing is rare

        return explanation_text(self)

    def _repr_html_(self) -> str:
        from tokenomics_core.cache._explain_table import explanation_html  # noqa: PLC0415 - likewise

        return explanation_html(self)

    def __rich__(self) -> Any:
        from tokenomics_core.cache._explain_table import explanation_rich  # noqa: PLC0415 - likewise

        return explanation_rich(self)


def explained(flow: Flow, partition: str, question: str) -> Steps[Explanation]:
    """Look at everything that a look-up looks at, and count nothing."""
    parts, place, now = flow.parts, flow.place(partition), flow.parts.clock()

    def told(outcome: str, why: str, **more: Any) -> Explanation:
        return Explanation(
            partition=partition,
            question=question,
            normalised=normalised(question),
            outcome=outcome,
            why=why,
            guards=parts.objections.names,
            **more,
        )

    entry = yield from flow.ask_store("find", place, key_of(question), now)
    if entry is FAILED:
        return told("failure", "the store cannot be reached")
    exact = None if entry is None else entry.question
    neighbours, why_none = yield from _near(flow, place, question, now)
    candidates = yield from _candidates(flow, question, neighbours, now)
    eligible, kept_apart = not_apart(question, neighbours)
    neighbours = list(eligible)
    decision = _peek(flow, question, neighbours)
    shown: dict[str, Any] = {
        "exact": exact,
        "candidates": candidates,
        "threshold": None if decision is None else decision.threshold,
    }
    guard = parts.objections.to_question(question)
    if guard is not None:
        return told("guard", f"guard {guard} objects to the question itself", guard=guard, **shown)
    if entry is not None:
        return _told_exact(flow, told, entry, question, now, shown)
    if not neighbours and kept_apart is not None:
        return told("guard", f"guard {kept_apart} keeps what is near apart", guard=kept_apart, **shown)
    if not neighbours:
        return told(*why_none, **shown)
    return _told_near(told, decision, candidates[-len(neighbours) :], shown)


def _near(
    flow: Flow, place: str, question: str, now: float
) -> Steps[tuple[list[Neighbour], tuple[str, str]]]:
    vector = yield from flow.vector_of(question)
    if vector is None:
        return [], ("too_long", "the question is too long for one vector to tell it from others")
    if vector is FAILED:
        return [], ("failure", "the embedder failed")
    neighbours = yield from flow.ask_store("search", place, vector, _CANDIDATES, now)
    if neighbours is FAILED:
        return [], ("failure", "the store cannot be reached")
    return neighbours, ("nothing_near", "nothing is stored in this partition")


def _candidates(
    flow: Flow, question: str, neighbours: list[Neighbour], now: float
) -> Steps[tuple[Candidate, ...]]:
    found = []
    for index, near in enumerate(neighbours):
        decision = _peek(flow, question, neighbours[index:])
        entry = yield from flow.ask_store("read", near.id, now)
        objection = None
        if isinstance(entry, CacheEntry):
            objection = flow.parts.objections.to_serving(question, entry)
        if objection is None:
            objection = apart(question, near.question)
        if objection is None and decision is not None:
            objection = decision.guard
        found.append(
            Candidate(
                question=near.question,
                similarity=near.similarity,
                group=near.group,
                probability=None if decision is None else decision.probability,
                guard=objection,
                entry_id=near.id,
            )
        )
    return tuple(found)


def _peek(flow: Flow, question: str, neighbours: list[Neighbour]) -> Decision | None:
    """Ask the policy about a copy of what it has learned, so that nothing is counted; None where it fails."""
    policy, namespace = flow.parts.policy, flow.parts.namespace
    copy = f"{namespace} (explained)"
    try:
        policy.restore(copy, policy.state(namespace))
        decision: Decision = policy.decide(copy, question, neighbours)
    except Exception as error:  # noqa: BLE001 - an explanation may not break who asks for it
        flow.parts.watch.failed("policy", error, "it cannot be explained")
        return None
    return decision


def _told_exact(
    flow: Flow, told: Any, entry: CacheEntry, question: str, now: float, shown: dict[str, Any]
) -> Explanation:
    guard = flow.parts.objections.to_serving(question, entry)
    if guard is not None:
        result: Explanation = told(
            "guard", f"guard {guard} objects to the stored answer", guard=guard, **shown
        )
    elif entry.expires_at is not None and entry.expires_at <= now:
        result = told("stale", "the same text was asked; the answer is past its time", **shown)
    else:
        result = told("exact", "the same text was asked", **shown)
    return result


def _told_near(
    told: Any, decision: Decision | None, candidates: tuple[Candidate, ...], shown: dict[str, Any]
) -> Explanation:
    if decision is None:
        result: Explanation = told("failure", "the policy failed", **shown)
        return result
    first = candidates[0]
    if decision.serve and first.guard is not None:
        result = told(
            "guard", f"guard {first.guard} objects to the stored answer", guard=first.guard, **shown
        )
    elif decision.serve:
        result = told("semantic", "the nearest question has the same answer, as far as can be told", **shown)
    elif decision.reason == "guard":
        result = told(
            "guard", f"guard {decision.guard} objects to the nearest", guard=decision.guard, **shown
        )
    else:
        result = told(decision.reason, _WHY.get(decision.reason, decision.reason), **shown)
    return result


_WHY = {
    "unsure": "the nearest question may have another answer",
    "explore": "it would be served, and is asked anew now and then to learn whether that is right",
    "nothing_near": "nothing near enough is stored",
    "verified": "the nearest question has the same answer, as far as can be told",
}
