"""What a classifier, a policy and an acceptor must be able to do to be plugged in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._tier import Tier

__all__ = [
    "Acceptor",
    "Answer",
    "Assessment",
    "AsyncClassifier",
    "Candidate",
    "Classifier",
    "Judge",
    "Judgement",
    "LearningPolicy",
    "Policy",
    "PolicyState",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What a classifier thinks of one request.

    Attributes:
        probabilities: By tier the chance that its answer is good enough; unknown tiers are left out.
        score: Gain of the strongest over the weakest tier; None if it cannot tell.
        out_of_domain: Whether the request is unlike anything it learned from.
        name: What assessed.
        cost_usd: What the assessment cost; None where it cost an unknown amount.
        reasons: Why, in plain words.
    """

    probabilities: Mapping[str, float] = field(default_factory=dict, hash=False)
    score: float | None = None
    out_of_domain: bool = False
    name: str
    cost_usd: Decimal | None = Decimal(0)
    reasons: tuple[str, ...] = ()


@runtime_checkable
class Classifier(Protocol):
    """Something that can tell how likely each tier is to answer a request well enough."""

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request; raising makes the router fall open to its safe tier.

        Args:
            request: What is asked.
            tiers: All tiers of the router, the weakest first.
        """


@runtime_checkable
class AsyncClassifier(Protocol):
    """A classifier that asks a model, and so has an async twin."""

    def assess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request."""

    async def aassess(self, request: RouteRequest, tiers: Sequence[Tier]) -> Assessment:
        """Assess one request without blocking the event loop."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tier that can serve the request.

    Attributes:
        tier: The tier.
        cost_usd: What the call is expected to cost in it; None where its price is unknown.
        probability: The chance that its answer is good enough; None if nobody can say.
    """

    tier: Tier
    cost_usd: Decimal | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What a policy may know besides the request.

    Attributes:
        score: Gain of the strongest over the weakest tier; None if the classifier gave none.
        out_of_domain: Whether the request is unlike anything the classifier learned from.
        safe: Index of the safe tier among the candidates; None if it cannot serve the request.
    """

    score: float | None = None
    out_of_domain: bool = False
    safe: int | None = None


@runtime_checkable
class Policy(Protocol):
    """Something that picks one of the tiers that can serve a request.

    A policy that learns from its own decisions is a `LearningPolicy` as well.
    """

    @property
    def name(self) -> str:
        """What records call it."""

    def choose(
        self,
        assessment: Assessment,
        candidates: Sequence[Candidate],
        request: RouteRequest,
        state: PolicyState,
    ) -> tuple[int, tuple[str, ...]]:
        """Return the index of a candidate, and why in plain words.

        Args:
            assessment: What the classifier thinks; without probabilities where it failed.
            candidates: At least one, in the router's order, the weakest first.
            request: What is asked.
            state: What else is known.
        """


@runtime_checkable
class LearningPolicy(Policy, Protocol):
    """A policy that keeps to its target by looking at what it decided."""

    def observe(self, index: int, candidates: Sequence[Candidate], state: PolicyState) -> None:
        """Learn from a decision that stands; called once for each, from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer to be judged.

    Attributes:
        text: What the model said.
        logprobs: Natural logarithms of the chances of its tokens, where the provider gives them.
        finish_reason: Why it stopped: `stop`, `length`, `content_filter`, `tool_calls` ...
        tool_calls: Names of the tools it called.
        schema_ok: Whether it meets the schema that was asked for; None if none was.
        samples: Further answers to the same question, from the same model or another, for agreement.
    """

    text: str
    logprobs: tuple[float, ...] | None = None
    finish_reason: str | None = None
    tool_calls: tuple[str, ...] = ()
    schema_ok: bool | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge that has to be paid says of an answer.

    Attributes:
        probability: Chance that the answer is good enough, in [0, 1].
        cost_usd: What judging cost; None if unknown.
        reasons: Why, in plain words.
    """

    probability: float
    cost_usd: Decimal | None
    reasons: tuple[str, ...] = ()


@runtime_checkable
class Acceptor(Protocol):
    """Something that can tell how likely an answer is to be good enough."""

    def accept_probability(self, question: str, answer: Answer) -> float:
        """Return the chance that the answer is good enough, in [0, 1]."""


@runtime_checkable
class Judge(Acceptor, Protocol):
    """An acceptor that asks a model: what it costs is counted, and it has an async twin."""

    def judge(self, question: str, answer: Answer) -> Judgement:
        """Judge one answer."""

    async def ajudge(self, question: str, answer: Answer) -> Judgement:
        """Judge one answer without blocking the event loop."""
