"""Send each request to the cheapest tier that is good enough, and say why."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.protocols import Pricer
from tokenomics_core.routing._booking import Booking
from tokenomics_core.routing._choosing import Choice, Chooser
from tokenomics_core.routing._costs import Costs
from tokenomics_core.routing._difficulty import DifficultyClassifier
from tokenomics_core.routing._drift import Drift, DriftWatch
from tokenomics_core.routing._eligibility import check_tiers
from tokenomics_core.routing._feedback import Feedback, TierFeedback
from tokenomics_core.routing._health import Health, TierHealth
from tokenomics_core.routing._planning import Plan, Planner
from tokenomics_core.routing._protocols import Assessment, Classifier, Policy
from tokenomics_core.routing._request import RouteRequest
from tokenomics_core.routing._route import Route
from tokenomics_core.routing._router_state import restore_state, state_of
from tokenomics_core.routing._shadow import ABTest
from tokenomics_core.routing._stats import CallKind, Counts, RouterStats
from tokenomics_core.routing._sticky import Recent, Stickiness, WarmCache
from tokenomics_core.routing._targets import TargetQuality
from tokenomics_core.routing._tier import Tier
from tokenomics_core.types import HoldOut, Usage

__all__ = ["Router"]

_log = logging.getLogger("tokenomics_core.routing")
_NO_ASSESSMENT = Assessment(name="none")


class Router:
    """Choose a tier for every request; deciding is pure CPU and any number of threads may do it.

    What a tier cannot do, what does not fit its window and what would pass `max_cost_usd` is left out before
    anything is scored. A failure of classifier, policy or prices never reaches the caller: the request goes
    to the safe tier, with the reason on its route and in the log.

    Args:
        tiers: The weakest first.
        classifier: Tells how likely each tier is to answer well; if None, the shipped `DifficultyClassifier`,
            or the stated qualities alone where every tier states one.
        policy: Picks a tier from chances and costs; `TargetQuality(0.95)` if None.
        prices: Prices tiers that state none; the default price book if None.
        safe_tier: Where requests go that cannot be judged; the last tier if None.
        explore: Share of decisions made at random among the tiers that could serve, so that another policy
            can be valued from the log; in [0, 1].
        holdout: Share of requests, or an `ABTest`, or a `HoldOut` of conversations or users, that is not
            routed but goes to the safe tier.
        shadow: A tier that serves everything while the router only notes what it would have chosen.
        health: What is remembered of errors.
        stickiness: When a conversation keeps to its tier.
        quality_floor: Least quality by feedback; a tier below it beyond doubt is left out.
        learning_rate: How much one label of `feedback` moves a tier's chances; 0 learns nothing.
        out_of_domain: What decides about requests unlike anything learned from: the classifier's robust
            part, or `safe` for the safe tier.
        usual_output_tokens: Expected length of answers of tiers that state none, until reports tell.
        drift: Compares today's scores with those of the fit.
        clock: Seconds that only grow.
        rng: Source of ids and of exploration.

    Raises:
        ConfigurationError: A setting is wrong, or the tiers contradict each other.
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        *,
        classifier: Classifier | None = None,
        policy: Policy | None = None,
        prices: Pricer | None = None,
        safe_tier: str | None = None,
        explore: float = 0.0,
        holdout: float | ABTest | HoldOut | None = None,
        shadow: str | None = None,
        health: Health | None = None,
        stickiness: Stickiness | None = None,
        quality_floor: float | None = None,
        learning_rate: float = 0.05,
        out_of_domain: str = "robust",
        usual_output_tokens: int = 256,
        drift: DriftWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.tiers = check_tiers(tiers)
        names = {tier.name for tier in self.tiers}
        for what, name in (("safe_tier", safe_tier), ("shadow", shadow)):
            if name is not None and name not in names:
                raise ConfigurationError(f"{what} must be one of {', '.join(sorted(names))}, not {name!r}")
        if not 0 <= explore <= 1:
            raise ConfigurationError(f"explore must be a share in [0, 1], not {explore!r}")
        if out_of_domain not in ("robust", "safe"):
            raise ConfigurationError(f"out_of_domain must be 'robust' or 'safe', not {out_of_domain!r}")
        if type(usual_output_tokens) is not int or usual_output_tokens < 1:
            raise ConfigurationError(f"usual_output_tokens must be 1 or more, not {usual_output_tokens!r}")
        if isinstance(holdout, HoldOut):
            test = ABTest(hold_out=holdout)
        else:
            test = holdout if isinstance(holdout, ABTest) else ABTest(holdout=holdout or 0.0)
        sticky = stickiness or Stickiness()
        self._test = test
        self.classifier = classifier if classifier is not None else _default_classifier(self.tiers)
        self.policy: Policy = policy if policy is not None else TargetQuality()
        self.safe_tier = safe_tier if safe_tier is not None else self.tiers[-1].name
        self._counts = Counts()
        self._health = health or Health()
        self._health.bind(clock)
        self._drift = drift or DriftWatch()
        self._costs = Costs(self.tiers, prices, usual_output_tokens)
        self._feedback = Feedback(clock=clock, floor=quality_floor, rate=learning_rate)
        warm = WarmCache(sticky, clock)
        self._turns: Recent[Route] = Recent(sticky.entries)
        self._rng = rng or random.Random()  # noqa: S311 - ids and exploration, no secrets
        self._planner = Planner(
            self.tiers, self._costs, self._health, self._feedback, warm, self.safe_tier, usual_output_tokens
        )
        self._chooser = Chooser(
            self.policy,
            test,
            self._feedback,
            self._costs,
            sticky,
            explore,
            shadow,
            out_of_domain == "safe",
            self._rng,
        )
        self._booking = Booking(self.tiers, self._costs, self._counts, warm, sticky.entries)
        self._warn_lock = threading.Lock()
        self._has_warned = False

    def decide(self, request: RouteRequest | str) -> Route:
        """Choose a tier; a classifier that asks a model is waited for.

        Raises:
            ConfigurationError: No tier can do what is needed, or it fits no window; nothing was sent.
            BudgetExceededError: Every tier that can would pass the request's `max_cost_usd`.
        """
        request = _as_request(request)
        plan = self._begin(request)
        if isinstance(plan, Route):
            return plan
        try:
            assessment = self._assess(request)
        except Exception as error:  # noqa: BLE001 - a router's own failure must not fail the request
            return self._open(plan, f"the classifier failed ({type(error).__name__})", error)
        return self._finish(plan, assessment)

    async def adecide(self, request: RouteRequest | str) -> Route:
        """Choose a tier as `decide` does; only a classifier that asks a model is awaited."""
        request = _as_request(request)
        plan = self._begin(request)
        if isinstance(plan, Route):
            return plan
        try:
            asking = getattr(self.classifier, "aassess", None)  # as an `AsyncClassifier` has it
            assessment = self._assess(request) if asking is None else await asking(request, self.tiers)
        except Exception as error:  # noqa: BLE001 - likewise
            return self._open(plan, f"the classifier failed ({type(error).__name__})", error)
        return self._finish(plan, assessment)

    def report(
        self,
        route: Route,
        *,
        usage: Usage | None = None,
        cost_usd: Decimal | None = None,
        error: BaseException | str | None = None,
        latency_s: float | None = None,
        kind: CallKind = "answer",
        is_whole: bool = True,
    ) -> Decimal | None:
        """Say how the call went: for health, for the length of answers, and for the net saving.

        Args:
            route: The decision.
            usage: What the call consumed.
            cost_usd: What it cost; priced from the usage if None.
            error: What it failed with; what it consumed all the same is booked like a rejected draft.
            latency_s: How long it took.
            kind: `answer` for a call whose answer was used, `draft` for one that was rejected, `judge` for
                a call that judged, `router` for one that helped to decide.
            is_whole: Whether the answer came to its end, and tells how long answers are.

        Returns:
            What the call saved against the dearest tier, below 0 where it cost more; None where that cannot
            be told.
        """
        if error is not None:
            self._fail(route, error)
            if usage is None and cost_usd is None:
                return None
            return self._booking.book(route, usage, cost_usd, "draft", is_whole=False)
        if is_whole and kind in ("answer", "draft"):
            self._health.succeeded(route.tier.name, latency_s)
        return self._booking.book(route, usage, cost_usd, kind, is_whole=is_whole)

    def price_usd(self, route: Route, usage: Usage) -> Decimal | None:
        """Price a usage in a route's tier; None where its price is not known."""
        return self._costs.usd(route.tier, usage)

    def counterfactual_usd(
        self, route: Route, usage: Usage, cost_usd: Decimal | None = None
    ) -> Decimal | None:
        """Price a call of a route as if the dearest tier that could have served it had; nothing is booked.

        Args:
            route: The decision.
            usage: What the call consumed.
            cost_usd: What it cost; counts where it was made in the dearest tier itself.

        Returns:
            The price, None where it is not known.
        """
        return self._booking.counterfactual(route, usage, cost_usd)

    def feedback(self, route: Route | str, ok: bool | float) -> bool:
        """Learn from a label of an answer.

        Args:
            route: The decision or its id.
            ok: Whether the answer was good, or how good, in [0, 1].

        Returns:
            Whether the decision is still known; an unknown id changes nothing.

        Raises:
            ConfigurationError: The label is not in [0, 1].
        """
        if not isinstance(ok, (bool, int, float)) or not 0 <= ok <= 1:
            raise ConfigurationError(f"ok must be True, False or in [0, 1], not {ok!r}; nothing was learned")
        known = route if isinstance(route, Route) else self._booking.route(route)
        if known is None:
            return False
        name, chance = known.tier.name, known.probability
        self._feedback.add(name, float(ok), chance)
        self._counts.labelled(name, float(ok))
        if chance is not None:
            self._drift.labelled(chance, float(ok))
        return True

    def next_tier(self, route: Route, error: BaseException | str) -> Route | None:
        """Return where to go after an error, None if nothing is left; the tier that failed is remembered."""
        self._fail(route, error)
        rests = [self._health.rests(tier.name) for tier in route.fallbacks]
        if not rests:
            return None
        tier = route.fallbacks[rests.index(False) if False in rests else 0]
        kind = type(error).__name__ if isinstance(error, BaseException) else error[:60]
        return self.redirect(route, tier, f"{route.tier.name} failed ({kind})")

    def redirect(self, route: Route, tier: Tier, why: str) -> Route:
        """Return a decision with one of its fallbacks in place of its tier, for this ask.

        Raises:
            ConfigurationError: The tier is none of the route's fallbacks.
        """
        if tier not in route.fallbacks:
            raise ConfigurationError(
                f"{tier.name!r} is no fallback of {route.tier.name!r}; nothing was changed"
            )
        following = self._booking.follow(route, tier, why)
        self._remember(following)
        return following

    def charge(self, kind: CallKind, cost_usd: Decimal | None) -> None:
        """Count a cost that belongs to no tier's call, such as a judge's; None is counted as unpriced."""
        self._counts.charged(kind, cost_usd)

    def note(self, what: str) -> None:
        """Count something, such as `escalations` or `cascades`."""
        self._counts.note(what)

    def stats(self) -> RouterStats:
        """Return what was done and what it saved after all its own costs."""
        return self._counts.stats(tuple(tier.name for tier in self.tiers))

    def state(self) -> dict[str, Any]:
        """Return what was learned while running, as plain values for JSON; `restore` goes on from it.

        That is where the controllers of targets stand, how long answers are, and what feedback shifted; not
        what is told of health, labels, asks and sums, which belong to a process.
        """
        return state_of(self._policies, self._costs, self._feedback)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` of a router with the same policies returned.

        Raises:
            ConfigurationError: It is of another version or of other policies; nothing was changed.
        """
        restore_state(state, self._policies, self._costs, self._feedback)

    def health(self, tier: str) -> TierHealth:
        """Return how a tier has been doing."""
        return self._health.of(tier)

    def feedback_of(self, tier: str) -> TierFeedback:
        """Return what feedback says of a tier."""
        return self._feedback.of(tier)

    def drift(self) -> Drift:
        """Test whether scores and outcomes are still those of the fit."""
        return self._drift.test()

    def affords(self, route: Route, tiers: Iterable[str]) -> bool:
        """Whether calls of all these tiers stay within the `max_cost_usd` of a route's request."""
        return self._booking.affords(route, tiers)

    @property
    def dominated(self) -> Mapping[str, str]:
        """Tiers that are dearer and worse than another, with the name of that one; see `warnings`."""
        return {name: better for name, (better, _) in self._planner.dominated().items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the choice of tiers, in plain words; prices are looked up for it."""
        return tuple(sentence for _, sentence in self._planner.dominated().values())

    @property
    def _policies(self) -> dict[str, Policy]:
        return {"treatment": self.policy, **self._test.policies}

    def _begin(self, request: RouteRequest) -> Plan | Route:
        """Find the tiers that can serve, or the decision already made for this ask."""
        if not self._has_warned:
            self._warn()
        plan = self._planner.plan(request)
        if request.turn is not None:
            made = None if request.begins_turn else self._turns.get((request.conversation, request.turn))
            if made is not None and (again := self._planner.again(made, plan)) is not None:
                self._counts.note("sticky")
                return self._booking.keep(again, plan)
        return plan

    def _assess(self, request: RouteRequest) -> Assessment:
        if self.classifier is None:
            return _NO_ASSESSMENT
        return self.classifier.assess(request, self.tiers)

    def _finish(self, plan: Plan, assessment: Assessment) -> Route:
        try:
            choice = self._chooser.choose(plan, assessment)
            if assessment.score is not None:
                self._drift.saw(assessment.score)
        except Exception as error:  # noqa: BLE001 - a router's own failure must not fail the request
            paid = getattr(assessment, "cost_usd", None)  # the classifier may be what is wrong
            return self._open(plan, f"the policy failed ({type(error).__name__})", error, paid)
        return self._stand(plan, choice)

    def _open(self, plan: Plan, why: str, error: Exception, cost_usd: Decimal | None = Decimal(0)) -> Route:
        """Send the request to the safe tier."""
        _log.warning("router failed open: %s", why, exc_info=error)
        return self._stand(plan, self._chooser.fail_open(plan, why, cost_usd))

    def _stand(self, plan: Plan, choice: Choice) -> Route:
        """Make the choice the decision for this ask."""
        fallbacks = self._planner.fallbacks(plan, choice.candidate.tier)
        route = self._booking.open(plan, choice, f"{self._rng.getrandbits(64):016x}", fallbacks)
        self._remember(route)
        if _log.isEnabledFor(logging.INFO):
            _log.info(route.line())
        return route

    def _remember(self, route: Route) -> None:
        if route.turn is not None:
            self._turns.put((route.conversation, route.turn), route)

    def _fail(self, route: Route, error: BaseException | str) -> None:
        if self._booking.fails_first(route):
            self._health.failed(route.tier.name, error)
            self._counts.failed(route.tier.name)

    def _warn(self) -> None:
        with self._warn_lock:
            if self._has_warned:
                return
            self._has_warned = True
        for sentence in self.warnings:
            _log.warning(sentence)


def _default_classifier(tiers: Sequence[Tier]) -> Classifier | None:
    if len(tiers) == 1 or all(tier.quality is not None for tier in tiers):
        return None
    return DifficultyClassifier.pretrained()


def _as_request(request: RouteRequest | str) -> RouteRequest:
    if isinstance(request, RouteRequest):
        return request
    if isinstance(request, str):
        return RouteRequest(question=request)
    raise ConfigurationError(
        f"request must be a RouteRequest or text, not {request!r:.80}; nothing was routed"
    )
