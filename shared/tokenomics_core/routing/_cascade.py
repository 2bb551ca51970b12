"""Ask the cheap tier first, judge its answer, and ask again one tier up where it is not good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._acceptor import AnswerAcceptor
from tokenomics_core.routing._protocols import Acceptor, Answer, Assessment, Candidate, Judge, PolicyState
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._router import Router
from tokenomics_core.routing._stats import RouterStats
from tokenomics_core.routing._sticky import Recent
from tokenomics_core.routing._tier import Tier
from tokenomics_core.types import Usage

__all__ = ["Cascade", "CascadeStart", "Verdict"]

_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "content_filter"})
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about an answer.

    Attributes:
        accept: Whether it may be given to the user.
        probability: Chance that it is good enough.
        reasons: Why, in plain words.
        gain: How much better the next tier's is likely to be; None if nobody can say.
        out_of_domain: Whether the answer is unlike anything that the acceptor learned from.
        cost_usd: What judging cost; None if unknown.
    """

    accept: bool
    probability: float
    reasons: tuple[str, ...] = ()
    gain: float | None = None
    out_of_domain: bool = False
    cost_usd: Decimal | None = Decimal(0)


class CascadeStart:
    """Start where the expected bill is least: at a draft that is likely to stand, or higher at once.

    Starting at a tier costs its call, and with the chance that its answer is not good enough the start one
    tier
    up: `E(i) = c(i) + (1 - p(i)) E(i + 1)`. A draft that would stand too rarely to pay for itself is
        skipped, which is
    pre-routing. Where chances or costs are unknown, the weakest tier starts.
    """

    name = "cascade"

    def choose(
        self,
        assessment: Assessment,  # noqa: ARG002 - the protocol's signature
        candidates: Sequence[Candidate],
        request: RouteRequest,  # noqa: ARG002 - likewise
        state: PolicyState,  # noqa: ARG002 - likewise
    ) -> tuple[int, tuple[str, ...]]:
        """Choose where to start."""
        expected = expected_costs(candidates)
        if expected is None:
            return 0, ("the weakest tier drafts",)
        index = min(range(len(expected)), key=lambda place: (expected[place], place))
        bill = f"${expected[index]:.6f} expected"
        if index == len(candidates) - 1:
            return index, (f"asked at once: {bill}, a draft would stand too rarely",)
        return index, (f"drafts: {bill} with its escalations, ${expected[-1]:.6f} at once",)


class Cascade:
    """The steps of a cascade; whoever makes the calls goes through them, sync or async.

    `first` says whom to ask, `judge` whether the answer will do, `next` whom to ask instead, `report` what
    a call cost. A rejected answer must never reach the user.

    Args:
        router: A router whose decision is where to start, or tiers, the weakest first, of which the start
            with the least expected bill is taken.
        acceptor: Judges answers.
        threshold: Least chance of a good answer to accept, in [0, 1]; None to go by the gain that an acceptor
            with `least_gain_` has solved.
        max_attempts: Most calls of tiers for one ask; None for as many as there are tiers.
        out_of_domain: What to do with an answer unlike anything learned from: `escalate`, or `trust` the
            chance.

    Raises:
        ConfigurationError: A number is out of its range, or nothing says which answers to accept.
    """

    def __init__(
        self,
        router: Router | Sequence[Tier],
        acceptor: Acceptor,
        *,
        threshold: float | None = None,
        max_attempts: int | None = None,
        out_of_domain: Literal["escalate", "trust"] = "escalate",
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigurationError(f"threshold must be in [0, 1], not {threshold!r}")
        if max_attempts is not None and (type(max_attempts) is not int or max_attempts < 1):
            raise ConfigurationError(f"max_attempts must be 1 or more, not {max_attempts!r}")
        if out_of_domain not in ("escalate", "trust"):
            raise ConfigurationError(f"out_of_domain must be 'escalate' or 'trust', not {out_of_domain!r}")
        self._least_gain: float | None = getattr(acceptor, "least_gain_", None) if threshold is None else None
        if threshold is None and self._least_gain is None:
            raise ConfigurationError(
                "nothing says which answers to accept: give a threshold, or fit the acceptor with next_right"
            )
        self.router = router if isinstance(router, Router) else Router(router, policy=CascadeStart())
        self.acceptor = acceptor
        self._threshold = threshold
        self._most = max_attempts if max_attempts is not None else len(self.router.tiers)
        self._escalates_far = out_of_domain == "escalate"
        self._ranks = {tier.name: rank for rank, tier in enumerate(self.router.tiers)}
        self._judge = acceptor if isinstance(acceptor, Judge) else None
        self._attempts: Recent[int] = Recent(_REMEMBERED)
        self._drafts: Recent[frozenset[str]] = Recent(_REMEMBERED)

    def first(self, request: RouteRequest | str) -> Route:
        """Say whom to ask first; raises what `Router.decide` raises."""
        return self._begun(self.router.decide(request))

    async def afirst(self, request: RouteRequest | str) -> Route:
        """Say whom to ask first, as `first` does."""
        return self._begun(await self.router.adecide(request))

    def needs_judging(self, route: Route) -> bool:
        """Whether there is anyone to ask instead; the last tier's answer is used as it is."""
        return self._above(route) is not None

    def judge(self, request: RouteRequest | str, answer: Answer) -> Verdict:
        """Say whether an answer will do; a judge that asks a model is waited for, and its cost is counted.

        An acceptor that fails accepts nothing: the answer is rejected, with the failure as the reason.
        """
        question = request if isinstance(request, str) else request.question
        if (fault := plain_fault(answer)) is not None:
            return Verdict(accept=False, probability=0.0, reasons=(fault,))
        try:
            if self._judge is not None:
                judged = self._judge.judge(question, answer)
                return self._paid(judged.probability, judged.cost_usd, judged.reasons)
            return self._free(question, answer)
        except Exception as error:  # noqa: BLE001 - foreign code; an answer nobody could judge is not shown
            return self._unjudged(error)

    async def ajudge(self, request: RouteRequest | str, answer: Answer) -> Verdict:
        """Say whether an answer will do, as `judge` does; a judge that asks a model is awaited."""
        if self._judge is None or plain_fault(answer) is not None:
            return self.judge(request, answer)
        question = request if isinstance(request, str) else request.question
        try:
            judged = await self._judge.ajudge(question, answer)
        except Exception as error:  # noqa: BLE001 - likewise
            return self._unjudged(error)
        return self._paid(judged.probability, judged.cost_usd, judged.reasons)

    def next(self, route: Route, verdict: Verdict) -> Route | None:
        """Say whom to ask instead of a tier whose answer was rejected; None if its answer has to do."""
        if verdict.accept:
            return None
        tier = self._above(route)
        if tier is None:
            return None
        self._attempts.put(route.id, self._made(route) + 1)
        self._drafts.put(route.id, (self._drafts.get(route.id) or frozenset()) | {route.tier.name})
        self.router.note("escalations")
        return self.router.redirect(
            route, tier, f"{route.tier.name}'s answer was rejected: {'; '.join(verdict.reasons)}"
        )

    def report(
        self,
        route: Route,
        verdict: Verdict | None = None,
        *,
        usage: Usage | None = None,
        cost_usd: Decimal | None = None,
        error: BaseException | str | None = None,
        latency_s: float | None = None,
    ) -> Decimal | None:
        """Say how a call went, as to `Router.report`; an answer to be asked again counts as a draft."""
        asked_again = route.tier.name in (self._drafts.get(route.id) or ())
        will_be = verdict is not None and not verdict.accept and self._above(route) is not None
        return self.router.report(
            route,
            usage=usage,
            cost_usd=cost_usd,
            error=error,
            latency_s=latency_s,
            kind="draft" if asked_again or will_be else "answer",
        )

    def stats(self) -> RouterStats:
        """Return what was done, with drafts, judges and escalations in the net saving."""
        return self.router.stats()

    def _begun(self, route: Route) -> Route:
        self._attempts.put(route.id, 1)
        if self._above(route) is not None:
            self.router.note("cascades")
        return route

    def _made(self, route: Route) -> int:
        return self._attempts.get(route.id) or 1

    def _above(self, route: Route) -> Tier | None:
        """Return the next stronger tier that is not resting, or the next stronger one.

        Not one that another above makes pointless, nor one that together with what was asked already would
        pass the limit of the request. What is served for a test is served as it is.
        """
        if self._made(route) >= self._most or route.shadow is not None or route.arm == "holdout":
            return None
        rank = self._ranks.get(route.tier.name, -1)
        above = [tier for tier in route.fallbacks if self._ranks.get(tier.name, -1) > rank]
        names, dominated = {tier.name for tier in above}, self.router.dominated
        asked = {*(self._drafts.get(route.id) or ()), route.tier.name}
        above = [
            tier
            for tier in above
            if dominated.get(tier.name) not in names and self.router.affords(route, {*asked, tier.name})
        ]
        above.sort(key=lambda tier: self._ranks[tier.name])
        awake = [tier for tier in above if self.router.health(tier.name).rests_s <= 0]
        return next(iter(awake or above), None)

    def _free(self, question: str, answer: Answer) -> Verdict:
        if not isinstance(self.acceptor, AnswerAcceptor):
            return self._verdict(_chance(self.acceptor.accept_probability(question, answer)), None, False)
        view = self.acceptor.assess(question, answer)
        return self._verdict(view.probability, view.gain, view.out_of_domain)

    def _unjudged(self, error: Exception) -> Verdict:
        """Reject what could not be judged; what a judge took until it failed is unknown, and counted so."""
        if self._judge is not None:
            self.router.charge("judge", None)
        return Verdict(
            accept=False,
            probability=0.0,
            reasons=(f"it could not be judged ({type(error).__name__})",),
            cost_usd=Decimal(0) if self._judge is None else None,
        )

    def _paid(self, probability: float, cost_usd: Decimal | None, reasons: tuple[str, ...]) -> Verdict:
        self.router.charge("judge", cost_usd)
        found = self._verdict(_chance(probability), None, False)
        return Verdict(
            accept=found.accept,
            probability=found.probability,
            reasons=(*reasons, *found.reasons),
            cost_usd=cost_usd,
        )

    def _verdict(self, chance: float, gain: float | None, is_far: bool) -> Verdict:
        if self._threshold is not None:
            accept = chance >= self._threshold
            why = f"chance {chance:.2f} {'reaches' if accept else 'is below'} {self._threshold:.2f}"
        else:
            worth = gain if gain is not None else 1 - chance
            least = self._least_gain if self._least_gain is not None else 0.0
            accept = worth < least
            why = f"gain {worth:+.2f} of asking again {'is below' if accept else 'reaches'} {least:+.2f}"
        if is_far and self._escalates_far and accept:
            accept, why = False, "unlike anything the acceptor learned from"
        return Verdict(accept=accept, probability=chance, reasons=(why,), gain=gain, out_of_domain=is_far)


def expected_costs(candidates: Sequence[Candidate]) -> list[float] | None:
    """Return what starting at each tier is expected to cost with its escalations; None if that is unknown."""
    expected: list[float] = []
    above = 0.0
    for place, candidate in reversed(list(enumerate(candidates))):
        if candidate.cost_usd is None:
            return None
        is_last = place == len(candidates) - 1
        if candidate.probability is None and not is_last:
            return None
        rejected = 0.0 if is_last else 1 - (candidate.probability or 0.0)
        above = float(candidate.cost_usd) + rejected * above
        expected.append(above)
    return expected[::-1]


def plain_fault(answer: Answer) -> str | None:
    """Say what is wrong with an answer that no judge needs to look at; None if nothing is."""
    if answer.schema_ok is False:
        return "it breaks the schema that was asked for"
    if (answer.finish_reason or "").lower() in _CUT_OFF:
        return f"it was cut off ({answer.finish_reason})"
    if not answer.text.strip() and not answer.tool_calls:
        return "it is empty"
    return None


def _chance(value: float) -> float:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= 1):
        raise ConfigurationError(f"an acceptor must give a chance in [0, 1], not {value!r:.80}")
    return float(value)
