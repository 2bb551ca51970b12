"""Replay one call after another through the objects of a plan, and say of each what became of it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from tokenomics_core.budgets import Reservation
from tokenomics_core.cache import AnswerComparer, Hit
from tokenomics_core.errors import BudgetExceededError, ConfigurationError, UnknownModelError
from tokenomics_core.routing import RoutedCall
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._replay_answers import LoggedAnswers, ModelNames
from tokenomics_core.traffic._replay_call import PendingCall, ReplayedCall
from tokenomics_core.traffic._replay_context import shortened
from tokenomics_core.traffic._replay_messages import Asked, Said, asked_of
from tokenomics_core.traffic._simulate_plan import Plan
from tokenomics_core.types import Usage

if TYPE_CHECKING:
    from tokenomics_core.cache._turn import Turn

__all__ = ["Replayer"]

_ZERO = Decimal(0)
_CHATS = frozenset({"chat", "completion", "text_completion", "generate_content"})


class Replayer:
    """Hands calls to the objects of a plan, in the order in which an application's adapters do.

    Args:
        plan: The objects; they learn and fill up as the calls go by.
        answers: What the log knows of answers.
    """

    def __init__(self, plan: Plan, answers: LoggedAnswers, names: ModelNames) -> None:
        from tokenomics_core.cache import KeyRule  # noqa: PLC0415 - loads numpy

        self._plan = plan
        self._answers = answers
        self._names = names
        self._rule = plan.rule or KeyRule()
        self._flights = _Flights()
        self._comparer = AnswerComparer()

    def replay(self, record: TrafficRecord) -> ReplayedCall:
        """Replay one record; those before it in time have been replayed already."""
        self._plan.clock.move_to(record.at)
        call = PendingCall(record, self._log_usd(record))
        if (why := _why_left(record)) is not None:
            return call.left(why)
        return self._asked(call) if record.messages else self._without_content(call)

    def _without_content(self, call: PendingCall) -> ReplayedCall:
        """Let the budgets judge a call of which only the counts are known."""
        if self._plan.budgets is None or call.said.usage.input_tokens is None:
            return call.left("the log keeps no content")
        held = self._reserve(call)
        if held is None:
            return call.refused()
        self._settle(held, call.said.usage, call.log_usd)
        return call.answered(call.said, call.log_usd, why="the log keeps no content: budgets only")

    def _asked(self, call: PendingCall) -> ReplayedCall:
        plan = self._plan
        if plan.compression is not None:
            call.shorten(shortened(call.asked, plan.compression))
        routed = None
        if plan.router is not None:
            try:
                routed = self._routed(call)
            except (ConfigurationError, BudgetExceededError) as error:
                return call.refused(f"router: {error}")
        if plan.order == "budget":
            return self._budget_first(call, routed)
        return self._cache_first(call, routed)

    def _cache_first(self, call: PendingCall, routed: RoutedCall | None) -> ReplayedCall:
        with _turn(self._turn_of(call)) as turn:
            if (hit := _hit_of(turn)) is not None:
                return self._from_cache(call, hit, routed)
            held = self._reserve(call)
            if held is None:
                return call.refused()
            return self._from_model(call, turn, held, routed)

    def _budget_first(self, call: PendingCall, routed: RoutedCall | None) -> ReplayedCall:
        held = self._reserve(call)
        if held is None:
            return call.refused()
        with _turn(self._turn_of(call)) as turn:
            if (hit := _hit_of(turn)) is None:
                return self._from_model(call, turn, held, routed)
            if isinstance(held, Reservation) and self._plan.budgets is not None:
                self._plan.budgets.settle(held, _ZERO, 0, calls=0)
            return self._from_cache(call, hit, routed)

    # -- the steps

    def _routed(self, call: PendingCall) -> RoutedCall:
        plan, router = self._plan, self._plan.router
        assert router is not None  # noqa: S101 - asked for only where there is one
        who = call.record.attribution
        downgrade = None if plan.budgets is None else plan.budgets.left(who).downgrade_to
        route = router.decide(call.asked.for_router(downgrade, plan.router_options))
        call.route(route, self._log_tier(call.record))
        return RoutedCall(router, route)

    def _log_tier(self, record: TrafficRecord) -> str | None:
        """Name the tier whose model the log asked."""
        name = self._names.of(record.model, record.provider)
        tiers = self._plan.router.tiers if self._plan.router is not None else ()
        return next((tier.name for tier in tiers if self._names.of(tier.model, tier.provider) == name), None)

    def _turn_of(self, call: PendingCall) -> Turn | None:
        cache = self._plan.cache
        if cache is None:
            return None
        call.key = self._rule.key_of(call.asked.for_cache(model=call.asked.model))
        if call.key.how == "never":
            return None
        key = call.key
        return cache.begin(key.partition, key.question, how=key.how, tenant=call.asked.tenant)

    def _reserve(self, call: PendingCall) -> Reservation | Literal["free"] | None:
        """Set the worst case aside; None where a limit refuses it."""
        budgets = self._plan.budgets
        if budgets is None:
            return "free"
        try:
            shape = call.asked.for_budgets(self._plan.max_output_tokens)
            if not call.asked.messages:
                shape = replace(shape, input_tokens=call.said.usage.input_tokens or 0)
            return budgets.reserve_call(shape, call.record.attribution, sent=True)
        except BudgetExceededError as error:
            call.refusal = f"{error.scope} {error.key!r} ({error.window}, {error.unit})"
        except UnknownModelError as error:
            call.refusal = f"no price for {error.model!r}"
        return None

    def _settle(self, held: Reservation | Literal["free"], usage: Usage, usd: Decimal | None) -> None:
        budgets = self._plan.budgets
        if budgets is not None and isinstance(held, Reservation):
            budgets.settle(held, usd, usage.total_tokens, calls=held.calls)

    def _from_cache(self, call: PendingCall, hit: Hit, routed: RoutedCall | None) -> ReplayedCall:
        if routed is not None:
            routed.consumed(Usage(), from_cache=True)
            routed.answered()
        assert call.key is not None  # noqa: S101 - a hit was looked for
        waited_s = self._flights.wait_s((call.key.partition, hit.question), call.record.at.timestamp())
        return call.served_from(hit, waited_s, self._agrees(hit, call.said))

    def _from_model(
        self,
        call: PendingCall,
        turn: Turn | None,
        held: Reservation | Literal["free"],
        routed: RoutedCall | None,
    ) -> ReplayedCall:
        said, is_known = self._answer_to(call)
        usd = call.log_usd if said is call.said else self._usd(call.asked, said.usage, call.record.at)
        self._settle(held, said.usage, usd)
        if routed is not None:
            _report(routed, said)
        if turn is not None and (fresh := said.for_cache(call.asked.model, call.asked.tenant)) is not None:
            self._keep(call, turn, fresh, said)
        return call.answered(said, usd, is_known=is_known, compress_usd=self._compress_usd(call, said))

    def _keep(self, call: PendingCall, turn: Turn, fresh: Any, said: Said) -> None:
        """Store an answer as the adapters do: calls of tools word for word only."""
        assert call.key is not None and self._plan.cache is not None  # noqa: S101, PT018 - there is a turn
        how = "exact" if fresh.has_tool_calls and call.key.how == "semantic" else call.key.how
        if how != call.key.how or turn.hit is not None:
            key = call.key
            self._plan.cache.put(key.partition, key.question, fresh, how=how, lookup=turn.lookup)
        else:
            turn.finish(fresh)
        self._flights.begin(
            (call.key.partition, call.key.question), call.record.at.timestamp(), said.latency_s
        )

    # -- what is known

    def _answer_to(self, call: PendingCall) -> tuple[Said, bool]:
        """Return the answer of the log to what would have been asked, or else an estimate of it."""
        if not call.is_changed:
            return call.said, True
        asked = call.asked
        if not call.is_shortened and self._names.of(asked.model, asked.provider) == self._names.of(
            call.record.model, call.record.provider
        ):
            return call.said, True
        found = self._answers.find(asked)
        if found is not None:
            return found, True
        return self._answers.estimate(asked_of(call.record), call.said, asked), False

    def _log_usd(self, record: TrafficRecord) -> Decimal | None:
        if record.source == "cache":
            return _ZERO
        if not record.usage.is_reported:
            return record.cost_usd if record.outcome == "ok" else record.cost_usd or _ZERO
        known = self._plan.prices.cost(record.usage, record.model, record.provider, record.at).total_usd
        return record.cost_usd if known is None else known

    def _usd(self, asked: Asked, usage: Usage, at: datetime) -> Decimal | None:
        return self._plan.prices.cost(usage, asked.model, asked.provider, at).total_usd

    def _compress_usd(self, call: PendingCall, said: Said) -> Decimal:
        """Tell what the shorter prompt saved in the model that was asked, whichever that is."""
        before, after = call.said.usage, said.usage
        if not call.is_shortened or before.input_tokens is None or after.input_tokens is None:
            return _ZERO
        whole = max(before.input_tokens, after.input_tokens)
        dear = self._usd(call.asked, replace(after, input_tokens=whole), call.record.at)
        cheap = self._usd(call.asked, after, call.record.at)
        return _ZERO if dear is None or cheap is None else dear - cheap

    def _agrees(self, hit: Hit, said: Said) -> bool | None:
        """Compare what is served with what the log's own model said to this very request."""
        served = hit.entry.answer
        if served is None or said.text is None or self._plan.cache is None:
            return None
        told = self._comparer.by_form(said.text, served)
        embedder = self._plan.cache.embedder
        if told is None and embedder.fits(said.text) and embedder.fits(served):
            one, other = embedder.embed([said.text, served])
            told = self._comparer.by_meaning(float(one @ other))
        return told


class _Flights:
    """Knows which answers were not there yet when they were asked for again."""

    def __init__(self) -> None:
        self._ready_s: dict[tuple[str, str], float] = {}
        self._order: deque[tuple[float, tuple[str, str]]] = deque()

    def begin(self, key: tuple[str, str], at_s: float, latency_s: float | None) -> None:
        """Note when an answer arrives."""
        if latency_s:
            self._ready_s[key] = at_s + latency_s
            self._order.append((at_s + latency_s, key))

    def wait_s(self, key: tuple[str, str], at_s: float) -> float:
        """Return how long to wait for an answer that is under way; 0 for one that is there."""
        while self._order and self._order[0][0] <= at_s:
            ready_s, done = self._order.popleft()
            if self._ready_s.get(done) == ready_s:
                del self._ready_s[done]
        return max(self._ready_s.get(key, 0.0) - at_s, 0.0)


class _turn:  # noqa: N801 - reads as a function: `with _turn(...) as turn:`
    """Give a turn back that was not finished; there may be none."""

    def __init__(self, turn: Turn | None) -> None:
        self._turn = turn

    def __enter__(self) -> Turn | None:
        return self._turn

    def __exit__(self, *_: object) -> None:
        if self._turn is not None:
            self._turn.abandon()


def _hit_of(turn: Turn | None) -> Hit | None:
    """Return what is served; whoever is to fetch it anew asks the model."""
    hit = None if turn is None else turn.hit
    return None if hit is None or hit.refresh else hit


def _report(routed: RoutedCall, said: Said) -> None:
    outcome: Any = said.outcome if said.outcome in {"ok", "aborted", "cancelled", "error"} else "error"
    routed.consumed(said.usage, outcome=outcome, latency_s=said.latency_s)
    if outcome == "ok":
        routed.answered()
    elif outcome == "error":
        routed.failed(RuntimeError("the logged call failed"))
    else:
        routed.abandoned()


def _why_left(record: TrafficRecord) -> str | None:
    """Say why a record is not replayed; None where it is."""
    if record.source == "cache":
        return "the log's own cache had answered it"
    if record.source == "batch":
        return "it was made in a batch"
    if record.operation not in _CHATS:
        return f"it is no chat but {record.operation!r}"
    return None
