"""What goes into the cache and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from tokenomics_core.cache._entry import CacheEntry, Neighbour
from tokenomics_core.cache._life import checked_seconds
from tokenomics_core.cache._money import from_nano
from tokenomics_core.cache._protocols import Decision
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Usage

if TYPE_CHECKING:
    from tokenomics_core.cache._protocols import Vector

__all__ = [
    "Answer",
    "Fetched",
    "Hit",
    "How",
    "Kind",
    "Lookup",
    "MissReason",
    "as_answer",
    "checked_question",
]

How = Literal["semantic", "exact", "never"]
"""How a request may be served: also by meaning, only word for word, or not at all."""

Kind = Literal["exact", "semantic"]

MissReason = Literal[
    "nothing_near",
    "unsure",
    "guard",
    "explore",
    "exact_only",
    "never_served",
    "too_long",
    "version",
    "tenant",
    "expired",
    "disproved",
    "failure",
]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hit:
    """An answer that was paid for before.

    Attributes:
        entry: What is stored.
        kind: `exact` where the same text was asked before, `semantic` where another question was.
        probability: That the answer is right for this question; 1 for an exact hit.
        age_s: Seconds since it was stored.
        stale: Whether it is past its time and served while it is fetched anew.
        refresh: Whether the caller is the one who should fetch it anew.
        shared: Whether it comes from a call that was in flight when this one was asked.
        lookup: The look-up that found it.
    """

    entry: CacheEntry
    kind: Kind
    probability: float
    age_s: float
    stale: bool = False
    refresh: bool = False
    shared: bool = False
    lookup: Lookup | None = field(default=None, compare=False)

    @property
    def payload(self) -> bytes | str:
        """The answer as it was given: text or bytes."""
        entry = self.entry
        return entry.payload.decode("utf-8", "surrogatepass") if entry.is_text else entry.payload

    @property
    def avoided_usage(self) -> Usage | None:
        """What the call consumed that is not made now; None where nobody said."""
        return self.entry.usage

    @property
    def avoided_usd(self) -> Decimal | None:
        """What that call cost, rounded up to a nano-dollar; None where unknown."""
        return from_nano(self.entry.cost_nano_usd)

    @property
    def entry_id(self) -> str:
        """Which entry it comes from."""
        return self.entry.id

    @property
    def question(self) -> str:
        """The question it was stored under."""
        return self.entry.question

    @property
    def group(self) -> str:
        """Of answers that say the same."""
        return self.entry.group

    @property
    def model(self) -> str | None:
        """Which model gave it."""
        return self.entry.model

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is labelled with."""
        return self.entry.tags

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the documents it was drawn from."""
        return self.entry.sources

    def __repr__(self) -> str:
        marks = "".join(f", {name}" for name in ("stale", "refresh", "shared") if getattr(self, name))
        return (
            f"<{self.kind} hit on {self.question!r}, probability {self.probability:.3f}, "
            f"{self.age_s:.0f} s old{marks}>"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lookup:
    """What a look-up found, and what a `put` after a miss learns from.

    Attributes:
        partition: As the caller gave it.
        question: As it was asked.
        key: Digest of the normalised question.
        how: How it could be served at most.
        hit: What was found; None for a miss.
        reason: Why it is a miss; None for a hit.
        guard: Which guard objected, where one did.
        decision: What the policy decided; None where it was not asked.
        neighbours: What it decided on, the nearest first.
        vector: Of the question; None where it was not embedded.
        serial: How many invalidations there had been.
    """

    partition: str
    question: str
    key: str
    how: How = "semantic"
    hit: Hit | None = None
    reason: MissReason | None = None
    guard: str | None = None
    decision: Decision | None = None
    neighbours: tuple[Neighbour, ...] = field(default=(), repr=False)
    vector: Vector | None = field(default=None, repr=False)
    serial: int = field(default=0, repr=False)
    claim: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A fresh answer, and what is known about it; a single source or tag may stand alone.

    Attributes:
        payload: What a hit will return.
        answer: What it says, in words, for comparing answers; the payload itself where that is text.
        usage: What the call consumed.
        model: Which model gave it.
        tenant: Whose it is.
        sources: Ids of the documents it was drawn from.
        tags: Free labels to invalidate by.
        version: The version of whatever the caller versions.
        ttl_s: Seconds that it stays fresh; None for what the cache or its tags say.
        finish_reason: Why the model stopped, as the provider calls it.
        has_tool_calls: Whether it asks for tools to be called.
        is_error: Whether the call failed.
        judge_score: How good it is, in [0, 1]; None where nobody judged.
    """

    payload: bytes | str
    answer: str | None = None
    usage: Usage | None = None
    model: str | None = None
    tenant: str | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    version: str | None = None
    ttl_s: float | None = None
    finish_reason: str | None = None
    has_tool_calls: bool = False
    is_error: bool = False
    judge_score: float | None = None

    def __post_init__(self) -> None:
        payload: object = self.payload
        if isinstance(payload, bytearray | memoryview):
            object.__setattr__(self, "payload", bytes(payload))
        elif not isinstance(payload, bytes | str):
            raise ConfigurationError(
                f"payload must be bytes or str, not {type(payload).__name__}; nothing was stored"
            )
        for name in ("sources", "tags"):
            names = getattr(self, name)
            names = (names,) if isinstance(names, str) else tuple(names)
            if not all(isinstance(item, str) for item in names):
                raise ConfigurationError(f"{name} must be strings, not {names!r}; nothing was stored")
            object.__setattr__(self, name, names)
        checked_seconds("ttl_s", self.ttl_s)

    @property
    def text(self) -> str | None:
        """What it says, where anybody can tell."""
        if self.answer is not None:
            return self.answer
        return self.payload if isinstance(self.payload, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer from the cache, or a fresh one.

    Attributes:
        payload: The answer.
        hit: Where it comes from, for an answer that was not computed by this call.
        lookup: Why it had to be computed.
        is_stored: Whether a fresh answer was kept.
    """

    payload: bytes | str
    hit: Hit | None = None
    lookup: Lookup | None = field(default=None, repr=False)
    is_stored: bool = False


def as_answer(payload: bytes | str | Answer, about: dict[str, Any]) -> Answer:
    """Return what was computed with what is known about it."""
    if not isinstance(payload, Answer):
        return Answer(payload=payload, **about)
    return replace(payload, **about) if about else payload


def checked_question(partition: object, question: object, how: object) -> None:
    """Refuse what is no question; `ConfigurationError` as that is no failure of the cache's."""
    for name, value in (("partition", partition), ("question", question)):
        if not isinstance(value, str):
            raise ConfigurationError(f"{name} must be a string, not {type(value).__name__}")
    if how not in ("semantic", "exact", "never"):
        raise ConfigurationError(f"how must be 'semantic', 'exact' or 'never', not {how!r}")
