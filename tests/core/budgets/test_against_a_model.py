"""Budgets agree with a slow model that remembers everything and adds it up each time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.core.budgets.conftest import Clock
from tokenomics_core import Attribution, BudgetExceededError
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, Reservation, SQLiteBudgetStore

LEASE_S = 300
FOREVER_S = 1e8
BERLIN = ZoneInfo("Europe/Berlin")
# The clocks go back during the first night.
START = datetime(2026, 10, 24, 20, 0, tzinfo=UTC).timestamp()

DAY = Limit("user", usd="1.00", window="day", timezone="Europe/Berlin")
HOUR = Limit(("user", "feature"), calls=6, window="hour")
ROLLING = Limit("all", usd="1.50", window="rolling 2h")
TOTAL = Limit("feature", tokens=20_000)
LIMITS = [DAY, HOUR, ROLLING, TOTAL]

users = st.sampled_from(["ada", "bob"])
features = st.sampled_from(["chat", "search"])
cents = st.integers(0, 60_000_000_000).map(lambda n: Decimal(n) / 10**11)  # to the hundredth of a nano-dollar


@dataclass
class Call:
    user: str
    feature: str
    at_s: float
    usd: Decimal
    tokens: int
    sent: bool
    expires_s: float
    booked: list[tuple[float, Decimal, int]] = field(default_factory=list)
    released: bool = False
    gone: bool = False

    @property
    def open(self) -> bool:
        return not self.booked and not self.released


def day_of(at_s: float) -> object:
    return datetime.fromtimestamp(at_s, BERLIN).date()


def nano_up(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal("1e-9"), rounding="ROUND_CEILING")


def nano_even(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal("1e-9"), rounding="ROUND_HALF_EVEN")


class Model:
    """Every call ever made, and sums over all of them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def touching(self, limit: Limit, user: str, feature: str, now: float) -> list[Call]:
        """Calls that count on the limit's current window, by when they were reserved."""
        if limit is DAY:
            return [c for c in self.calls if c.user == user and day_of(c.at_s) == day_of(now)]
        if limit is HOUR:
            mine = [c for c in self.calls if (c.user, c.feature) == (user, feature)]
            return [c for c in mine if c.at_s // 3600 == now // 3600]
        if limit is TOTAL:
            return [c for c in self.calls if c.feature == feature]
        return self.calls

    def amount(self, limit: Limit, usd: Decimal, tokens: int) -> Decimal:
        return {DAY: usd, ROLLING: usd, TOTAL: Decimal(tokens), HOUR: Decimal(1)}[limit]

    def spent(self, limit: Limit, user: str, feature: str, now: float) -> Decimal:
        total = Decimal(0)
        for call in self.touching(limit, user, feature, now):
            for at, usd, tokens in call.booked:
                if limit is ROLLING and now >= (at // 120 + 1) * 120 + 7200:
                    continue
                total += self.amount(limit, usd, tokens)
        return total

    def held(self, limit: Limit, user: str, feature: str, now: float) -> Decimal:
        total = Decimal(0)
        for call in self.touching(limit, user, feature, now):
            until = call.expires_s
            if call.sent:
                until = call.expires_s + 7200 if limit is ROLLING else float("inf")
            if call.open and now < until:
                total += self.amount(limit, call.usd, call.tokens)
        return total

    def fits(self, user: str, feature: str, now: float, usd: Decimal, tokens: int) -> Limit | None:
        """Return the first limit that refuses."""
        for limit in LIMITS:
            most = {DAY: Decimal(1), HOUR: 6, ROLLING: Decimal("1.5"), TOTAL: 20_000}[limit]
            have = self.spent(limit, user, feature, now) + self.held(limit, user, feature, now)
            if have + self.amount(limit, usd, tokens) > most:
                return limit
        return None


class BudgetMachine(RuleBasedStateMachine):
    reservations = Bundle("reservations")

    def make_store(self, clock):
        return MemoryBudgetStore(clock=clock, remember_s=FOREVER_S)

    @initialize()
    def start(self):
        self.clock = Clock()
        self.clock.now_s = START
        self.store = self.make_store(self.clock)
        self.budgets = Budgets(LIMITS, store=self.store, lease_s=LEASE_S)
        self.model = Model()
        self.declared = Decimal(0)

    @rule(
        target=reservations,
        user=users,
        feature=features,
        usd=cents,
        tokens=st.integers(0, 5000),
        sent=st.booleans(),
    )
    def reserve(self, user, feature, usd, tokens, sent):
        now = self.clock()
        refusing = self.model.fits(user, feature, now, nano_up(usd), tokens)
        who = Attribution(user=user, feature=feature)
        if refusing is not None:
            with pytest.raises(BudgetExceededError) as refused:
                self.budgets.reserve(who, usd=usd, tokens=tokens, sent=sent)
            assert refused.value.scope == "+".join(refusing.names)
            committed = self.model.spent(refusing, user, feature, now)
            assert refused.value.committed == committed + self.model.held(refusing, user, feature, now)
            return multiple()
        made = self.budgets.reserve(who, usd=usd, tokens=tokens, sent=sent)
        call = Call(user, feature, now, nano_up(usd), tokens, sent, now + LEASE_S)
        self.model.calls.append(call)
        return made, call

    @rule(pair=reservations)
    def mark_sent(self, pair):
        made, call = pair
        if call.open and self.clock() < call.expires_s:
            self.budgets.mark_sent(made)
            call.sent = True

    @rule(pair=reservations)
    def renew(self, pair):
        made, call = pair
        if call.open and self.clock() < call.expires_s:
            assert self.budgets.renew(made)
            call.expires_s = self.clock() + LEASE_S

    @rule(pair=reservations, usd=cents, tokens=st.integers(0, 8000), again=st.booleans())
    def settle(self, pair, usd, tokens, again):
        made, call = pair
        # Through JSON, as whoever settles elsewhere or later would.
        done = self.budgets.settle(Reservation.from_dict(made.to_dict()), usd=usd, tokens=tokens)
        if call.booked:
            assert done.repeated
            return
        call.booked.append((self.clock(), nano_even(usd), tokens))
        assert not done.repeated
        assert done.overshoot_usd == (max(0, nano_even(usd) - call.usd) if call.usd else 0)
        if again:
            assert self.budgets.settle(made, usd=usd, tokens=tokens).repeated

    @rule(pair=reservations)
    def release(self, pair):
        made, call = pair
        self.budgets.release(made)
        if not call.booked:
            call.released = True

    @rule(pair=consumes(reservations))
    def crash(self, pair):
        """Whoever held it is gone: nobody settles it any more."""

    @rule()
    def restart(self):
        """Another process takes over: it knows only what the store knows."""
        self.budgets = Budgets(LIMITS, store=self.store, lease_s=LEASE_S)

    @rule(seconds=st.one_of(st.integers(1, 400), st.integers(1800, 7400), st.integers(20_000, 200_000)))
    def time_passes(self, seconds):
        self.clock.pass_s(seconds)

    @invariant()
    def the_books_agree(self):
        if not hasattr(self, "model"):
            return
        now = self.clock()
        for user, feature in itertools.product(["ada", "bob"], ["chat", "search"]):
            asked = {
                DAY: ("user", user),
                HOUR: (("user", "feature"), (user, feature)),
                ROLLING: ("all", ""),
                TOTAL: ("feature", feature),
            }
            for limit, (scope, key) in asked.items():
                (line,) = self.budgets.status(scope, key).lines
                assert line.spent == self.model.spent(limit, user, feature, now), (scope, key)
                assert line.held + line.unconfirmed == self.model.held(limit, user, feature, now), (
                    scope,
                    key,
                )

    @invariant()
    def spend_passes_the_limit_by_no_more_than_was_declared(self):
        if not hasattr(self, "model"):
            return
        now = self.clock()
        for user in ("ada", "bob"):
            declared = Decimal(0)
            for call in self.model.touching(DAY, user, "", now):
                for at, usd, _ in call.booked:
                    freed = call.released or (not call.sent and at >= call.expires_s)
                    declared += usd if freed else max(Decimal(0), usd - call.usd)
            assert self.budgets.status("user", user).spent_usd <= 1 + declared

    def teardown(self):
        if hasattr(getattr(self, "store", None), "close"):
            self.store.close()


class TestMemory(BudgetMachine.TestCase):
    settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_shared_stores_agree_with_the_model_too(kind, tmp_path, request):
    from hypothesis.stateful import run_state_machine_as_test

    names = itertools.count()
    if kind == "redis":
        url = request.getfixturevalue("redis_server").url

    class Machine(BudgetMachine):
        def make_store(self, clock):
            if kind == "sqlite":
                return SQLiteBudgetStore(tmp_path / f"{next(names)}.db", clock=clock, remember_s=FOREVER_S)
            from tokenomics_core.budgets import RedisBudgetStore

            return RedisBudgetStore(url, namespace=f"model-{next(names)}", clock=clock, remember_s=FOREVER_S)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_clock_that_jumps_back_loses_no_money(make_store):
    clock = Clock()
    budgets = Budgets(LIMITS, store=make_store(clock), lease_s=LEASE_S)
    who = Attribution(user="ada", feature="chat")
    truth = Decimal(0)
    for jump_s in (0, 7200, -7200, 90_000, -90_000, -600, 600):
        clock.pass_s(jump_s)
        try:
            held = budgets.reserve(who, usd="0.10", tokens=100, sent=True)
        except BudgetExceededError:
            continue
        clock.pass_s(-30)
        budgets.settle(held, usd="0.10", tokens=100)
        truth += Decimal("0.10")
    assert budgets.status("feature", "chat").spent_usd == truth
    start = clock()
    days = {day_of(start + shift) for shift in (0, 90_000)}
    spent = Decimal(0)
    for day in days:
        midday = datetime(day.year, day.month, day.day, 12, tzinfo=BERLIN)
        clock.now_s = (midday.astimezone(UTC) + timedelta(0)).timestamp()
        spent += budgets.status("user", "ada").spent_usd
    assert spent == truth
