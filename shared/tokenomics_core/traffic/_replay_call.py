"""One logged call on its way through a plan, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from tokenomics_core.cache import Hit
from tokenomics_core.routing import Route
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._replay_messages import Asked, Said, asked_of, said_of
from tokenomics_core.types import Attribution, Usage

if TYPE_CHECKING:
    from tokenomics_core.cache._serving import RequestKey

__all__ = ["PendingCall", "ReplayedCall", "Served"]

Served = Literal["model", "exact", "semantic", "refused", "log"]
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedCall:
    """What became of one logged call.

    Attributes:
        at: When it was made.
        id: The log's own id.
        where: Where it stands in the log.
        attribution: Who it was for.
        served: `model` by a provider, `exact` or `semantic` from the cache, `refused` by a budget, `log`
            where it was left as it is.
        why: Why it was left or refused, or what was not known of it.
        log_model: The model of the log.
        model: The model that would have been asked.
        tier: The router's tier; None without one.
        usage: What it would have consumed; nothing where it was not sent.
        log_usd: What the log's call cost; None where no price is known.
        usd: What it would have cost; likewise.
        is_known: Whether the log holds the very answer, so that the cost is no estimate.
        is_shortened: Whether a part of the prompt was left out.
        tokens_cut: Input tokens that this spared.
        compress_usd: What a shorter prompt saved.
        probability: Chance that an answer from the cache is right.
        agrees: Whether it says the same as the log's own answer to this request; None where that is open.
        quality: Chance of a good answer in the tier that was chosen.
        log_quality: The same for the model of the log.
        score: How good the chosen answer was by the log's own feedback.
        log_score: How good the log's answer was.
        latency_s: How long it would have taken; None where unknown.
        log_latency_s: How long it took.
        refused_by: Which limit refused it.
    """

    at: datetime
    log_model: str
    model: str
    served: Served
    usage: Usage
    log_usd: Decimal | None
    usd: Decimal | None
    id: str = ""
    where: str = ""
    attribution: Attribution = field(default_factory=Attribution)
    why: str = ""
    tier: str | None = None
    is_known: bool = True
    is_shortened: bool = False
    tokens_cut: int = 0
    compress_usd: Decimal = _ZERO
    probability: float | None = None
    agrees: bool | None = None
    quality: float | None = None
    log_quality: float | None = None
    score: float | None = None
    log_score: float | None = None
    latency_s: float | None = None
    log_latency_s: float | None = None
    refused_by: str | None = None

    @property
    def saved_usd(self) -> Decimal | None:
        """What it would have cost less than it did; None where a price is unknown."""
        return None if self.log_usd is None or self.usd is None else self.log_usd - self.usd

    @property
    def is_hit(self) -> bool:
        """Whether it came from the cache."""
        return self.served in {"exact", "semantic"}


class PendingCall:
    """One record on its way through the plan."""

    def __init__(self, record: TrafficRecord, log_usd: Decimal | None) -> None:
        self.record = record
        self.log_usd = log_usd
        self.asked = asked_of(record)
        self.said = said_of(record)
        self.key: RequestKey | None = None
        self.refusal: str | None = None
        self.is_shortened = False
        self._route: Route | None = None
        self._log_tier: str | None = None

    @property
    def is_changed(self) -> bool:
        """Whether it is not the request of the log any more."""
        return self.is_shortened or self._route is not None

    def shorten(self, asked: Asked) -> None:
        """Take a shorter prompt."""
        self.is_shortened = asked is not self.asked
        self.asked = asked

    def route(self, route: Route, log_tier: str | None) -> None:
        """Go to a tier; one that the log asked is named as the log does."""
        self._route, self._log_tier = route, log_tier
        if route.tier.name != log_tier:
            self.asked = replace(self.asked, model=route.tier.model, provider=route.tier.provider)

    def left(self, why: str) -> ReplayedCall:
        """Stay as it is."""
        return self._made("log", self.said.usage, self.log_usd, why=why, latency_s=self.said.latency_s)

    def refused(self, why: str | None = None) -> ReplayedCall:
        """Be refused."""
        by = why or self.refusal or "a budget"
        return self._made("refused", Usage(), _ZERO, refused_by=by)

    def served_from(self, hit: Hit, waited_s: float, agrees: bool | None) -> ReplayedCall:
        """Be answered from the cache."""
        return self._made(
            hit.kind,
            Usage(),
            _ZERO,
            probability=hit.probability,
            agrees=agrees,
            latency_s=None if self.said.latency_s is None else min(waited_s, self.said.latency_s),
        )

    def answered(
        self,
        said: Said,
        usd: Decimal | None,
        *,
        is_known: bool = True,
        compress_usd: Decimal = _ZERO,
        why: str = "",
    ) -> ReplayedCall:
        """Be answered by a model."""
        return self._made(
            "model",
            said.usage,
            usd,
            why=why,
            is_known=is_known,
            compress_usd=compress_usd,
            tokens_cut=self._tokens_cut(said),
            latency_s=said.latency_s,
            score=said.score,
        )

    def _tokens_cut(self, said: Said) -> int:
        before, after = self.said.usage.input_tokens, said.usage.input_tokens
        return max(before - after, 0) if self.is_shortened and before is not None and after is not None else 0

    def _made(self, served: Served, usage: Usage, usd: Decimal | None, **rest: Any) -> ReplayedCall:
        route, record = self._route, self.record
        chances = {} if route is None else route.probabilities
        return ReplayedCall(
            at=record.at,
            id=record.id,
            where=record.where,
            attribution=record.attribution,
            log_model=record.model,
            model=self.asked.model,
            served=served,
            usage=usage,
            log_usd=self.log_usd,
            usd=usd,
            tier=None if route is None else route.tier.name,
            is_shortened=self.is_shortened,
            quality=None if route is None else route.probability,
            log_quality=chances.get(self._log_tier) if self._log_tier is not None else None,
            log_score=record.score,
            log_latency_s=record.latency_s,
            **rest,
        )
