"""What budgets decide at each step of a call, whoever waits for the store."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from tokenomics_core.budgets._alerts import AlertHandler, Due, due_by_refusal, due_by_spend
from tokenomics_core.budgets._limit import ALL, REQUEST, Refusal
from tokenomics_core.budgets._money import Money, from_nano, nano_for_hold, nano_for_spend, whole
from tokenomics_core.budgets._outage import Watch
from tokenomics_core.budgets._reservation import Reservation, Settlement
from tokenomics_core.budgets._status import BudgetStatus, Left, left_of, status_of
from tokenomics_core.budgets._steps import Step, Steps
from tokenomics_core.budgets._store import (
    Account,
    Amounts,
    BudgetStore,
    Granted,
    Hold,
    Refused,
    Stale,
    UncertainStepError,
)
from tokenomics_core.budgets._touched import LimitSet, Touched, over_request, standing_of
from tokenomics_core.budgets._turn import InterruptedStepError
from tokenomics_core.budgets._window import from_us
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.types import Attribution, current_attribution

__all__ = ["Flow", "granted_amounts", "lease_in_us"]

_TRIES = 5
_CLAIMS_KNOWN = 10_000
_LONGEST_LEASE_S = 366 * 86_400
_OWN = ("user", "feature", "project", "conversation", "run")
_log = logging.getLogger("tokenomics")


class Flow:
    """The steps of reserving, settling and looking, and what goes from one call to the next."""

    def __init__(
        self,
        limits: LimitSet,
        store: BudgetStore,
        *,
        on_alert: AlertHandler | None,
        is_open: bool,
        lease_us: int,
        lapses: bool,
        allow_unknown: bool,
        allow_unattributed: bool,
        owner: str | None,
        new_id: Callable[[], str],
    ) -> None:
        self.limits, self.store = limits, store
        self.watch = Watch()
        self.pending: deque[Step] = deque()
        self.lease_us = lease_us
        self.allow_unknown = allow_unknown
        self._allow_unattributed = allow_unattributed
        self._on_alert, self.is_open, self._lapses, self.new_id = on_alert, is_open, lapses, new_id
        self._claimed: set[tuple[str, str]] = set()
        self._given_owner, self._own_name, self._own_pid = owner, "", -1

    @property
    def owner(self) -> str:
        """Who holds what is reserved here: the name given, or host and process."""
        if self._given_owner is not None:
            return self._given_owner
        if self._own_pid != os.getpid():
            self._own_name, self._own_pid = f"{socket.gethostname()}:{os.getpid()}", os.getpid()
        return self._own_name

    def reserve(
        self,
        attribution: Attribution | None,
        usd: Money | None,
        tokens: int | None,
        *,
        calls: int = 1,
        lease_us: int | None = None,
        sent: bool = False,
        max_output_tokens: int | None = None,
    ) -> Steps[Reservation]:
        """Set an amount aside everywhere or nowhere."""
        who = current_attribution() if attribution is None else attribution
        amounts = Amounts(
            0 if usd is None else nano_for_hold(usd),
            0 if tokens is None else whole(tokens, "tokens"),
            whole(calls, "calls"),
        )
        lease_us = self.lease_us if lease_us is None else lease_us
        hold_id, now_us = self.new_id(), self.store.now_us()
        asked: set[int] = set()
        for _ in range(_TRIES + len(self.limits.limits)):
            touched = self.limits.touched(who, now_us)
            self._check_known(touched, usd is not None, tokens is not None)
            tier = self._check_request(touched, amounts)
            hold = Hold(hold_id, self.owner, amounts, touched.accounts, self._lapses)
            if not touched.accounts:
                return Reservation(hold, who, now_us, now_us + lease_us, tier, max_output_tokens)
            try:
                reply = yield from self.taken("reserve", hold, touched.checks, lease_us, sent)
            except StoreError as error:
                if isinstance(error, UncertainStepError):
                    # It may stand there for a call that is refused here, or made without it.
                    self.pending.append(("release", (hold,)))
                if not self.is_open:
                    raise
                self.watch.count(unguarded_calls=1)
                return Reservation(
                    hold, who, now_us, now_us + lease_us, tier, max_output_tokens, guarded=False
                )
            now_us = reply.now_us
            if isinstance(reply, Granted):
                if reply.soft:
                    tier = touched.rules[reply.soft[-1]].downgrade_to
                return Reservation(hold, who, now_us, reply.expires_us, tier, max_output_tokens)
            if isinstance(reply, Stale):
                continue
            if not (yield from self._granted_more(touched, reply, amounts, asked)):
                rule, place = touched.rules[reply.check], touched.places[reply.check]
                raise rule.error(place.key, reply.granted, reply.committed, amounts[rule.unit_index])
        raise StoreError(repr(self.store), "its clock does not stand still; nothing was set aside")

    def taken(self, name: str, *arguments: Any) -> Steps[Any]:
        """Take a step of the store, after those that wait for it, and note whether it could."""
        try:
            if self.pending:
                yield from self.flush()
            reply = yield name, arguments
        except InterruptedStepError:
            raise  # the store is well
        except StoreError as error:
            self.watch.failed(error, is_open=self.is_open)
            raise
        if self.watch.is_down:
            self.watch.worked()
        return reply

    def _check_known(self, touched: Touched, usd_known: bool, tokens_known: bool) -> None:
        if touched.missing and not self._allow_unattributed:
            raise ConfigurationError(
                f"the call names no {touched.missing[0]}, which has a limit; nothing was set aside and the "
                "call was not sent (Budgets(unattributed='allow') lets such calls pass)"
            )
        if self.allow_unknown or (usd_known and tokens_known):
            return
        for rule in (*touched.rules, *touched.request):
            if (rule.unit == "usd" and not usd_known) or (rule.unit == "tokens" and not tokens_known):
                raise ConfigurationError(
                    f"{rule.unit} is unknown, but a limit on {rule.where.scope} counts it; nothing was "
                    "set aside and the call was not sent (Budgets(unknown='allow') lets such calls pass)"
                )

    def _check_request(self, touched: Touched, amounts: Amounts) -> str | None:
        tier = None
        for rule in touched.request:
            if over_request(rule, amounts):
                if rule.downgrade_to is None:
                    raise rule.error("", 0, 0, amounts[rule.unit_index])
                tier = rule.downgrade_to
        return tier

    def _granted_more(
        self, touched: Touched, reply: Refused, amounts: Amounts, asked: set[int]
    ) -> Steps[bool]:
        rule, place = touched.rules[reply.check], touched.places[reply.check]
        if callable(rule.action) and reply.check not in asked:
            asked.add(reply.check)
            refusal = Refusal(
                scope=rule.where.scope,
                key=place.key,
                window=rule.where.window.name,
                unit=rule.unit,
                limit=rule.shown(rule.amount + reply.granted),
                committed=rule.shown(reply.committed),
                requested=rule.shown(amounts[rule.unit_index]),
                resets_at=from_us(place.account.end_us) if place.account.end_us else None,
            )
            try:
                more = yield "call", (rule.action, refusal)
            except Exception:
                self.watch.count(action_failures=1)
                raise  # it may mean to: an agent's interrupt is an exception too
            if more is not None and more is not False:
                yield from self.taken("grant", place.account, granted_amounts(**{rule.unit: more}))
                return True
        yield from self._tell(due_by_refusal(rule, place, reply.granted, reply.committed, reply.now_us))
        return False

    def mark_sent(self, reservation: Reservation) -> Steps[None]:
        """Note that a call goes out, setting its amount aside again where its lease has ended."""
        hold = reservation.hold
        if not hold.accounts or not reservation.guarded:
            return
        try:
            state = yield from self.taken("mark_sent", hold)
            if state == "lapsed":
                yield from self._take_up_again(reservation)
        except StoreError:
            if not self.is_open:
                raise
            return
        if state == "done":
            raise ConfigurationError(f"reservation {hold.id} has ended before; the call was not sent")

    def _take_up_again(self, reservation: Reservation) -> Steps[None]:
        hold = reservation.hold
        touched = self.limits.touched(reservation.attribution, reservation.at_us)
        checks = touched.checks if touched.accounts == hold.accounts else ()
        lease_us = reservation.expires_us - reservation.at_us
        reply = yield from self.taken("reserve", hold, checks, lease_us, True)
        if isinstance(reply, Granted):
            return
        index = reply.check if isinstance(reply, Refused) else 0
        granted, committed = (reply.granted, reply.committed) if isinstance(reply, Refused) else (0, 0)
        rule, place = touched.rules[index], touched.places[index]
        raise rule.error(place.key, granted, committed, hold.amounts[rule.unit_index], "lease ended")

    def renew(self, reservation: Reservation, lease_us: int | None) -> Steps[bool]:
        """Let a lease run anew; a store that cannot be reached does not end a call that runs."""
        if not reservation.hold.accounts or not reservation.guarded:
            return True
        try:
            lease_us = self.lease_us if lease_us is None else lease_us
            state = yield from self.taken("renew", reservation.hold, lease_us)
        except StoreError:
            return False
        return bool(state == "ok")

    def settle(
        self, reservation: Reservation, usd: Money | None, tokens: int | None, calls: int | None
    ) -> Steps[Settlement]:
        """Book what a call took."""
        hold = reservation.hold
        held = hold.amounts
        spent = Amounts(
            held.nano_usd if usd is None else nano_for_spend(usd),
            held.tokens if tokens is None else whole(tokens, "tokens"),
            held.calls if calls is None else whole(calls, "calls"),
        )
        if not hold.accounts:
            return self._settlement(reservation, spent)
        try:
            reply = yield from self.taken("settle", hold, spent)
        except StoreError:
            self.pending.append(("settle", (hold, spent)))
            return self._settlement(reservation, spent, recorded=False)
        if not reply.repeated:
            if reply.late and reservation.guarded:
                self.watch.count(late_settlements=1)
            if self._on_alert is not None:
                touched = self.limits.touched(reservation.attribution, reservation.at_us)
                if touched.accounts == hold.accounts:
                    yield from self._tell(due_by_spend(touched, reply.spent, reply.granted, reply.now_us))
        return self._settlement(
            reservation, spent, repeated=reply.repeated, late=reply.late and reservation.guarded
        )

    def _settlement(
        self,
        reservation: Reservation,
        spent: Amounts,
        *,
        recorded: bool = True,
        repeated: bool = False,
        late: bool = False,
    ) -> Settlement:
        held = reservation.hold.amounts
        # A limit in tokens alone leaves USD unreserved: then there is no estimate that could be too low.
        over_nano = max(0, spent.nano_usd - held.nano_usd) if held.nano_usd else 0
        over_tokens = max(0, spent.tokens - held.tokens) if held.tokens else 0
        if (over_nano or over_tokens) and not repeated:
            self.watch.overshot(over_nano, over_tokens, reservation.id)
        return Settlement(
            usd=from_nano(spent.nano_usd),
            tokens=spent.tokens,
            overshoot_usd=from_nano(over_nano),
            overshoot_tokens=over_tokens,
            late=late,
            repeated=repeated,
            recorded=recorded,
        )

    def release(self, reservation: Reservation) -> Steps[None]:
        """Free what a call held."""
        hold = reservation.hold
        if not hold.accounts or not reservation.guarded:
            return
        try:
            yield from self.taken("release", hold)
        except StoreError:
            self.pending.append(("release", (hold,)))

    def flush(self) -> Steps[None]:
        """Write what waits for the store; what it still cannot take goes on waiting."""
        while True:
            try:
                step = self.pending.popleft()
            except IndexError:
                return
            try:
                yield step
            except BaseException:
                self.pending.appendleft(step)
                raise

    def grant(
        self, scope: str | tuple[str, ...], key: str | tuple[str, ...], more: Amounts, window: str | None
    ) -> Steps[None]:
        """Allow more on every account of a scope in the named window, or in its only one."""
        touched = self._touched_by(scope, key, {})
        accounts = [account for account in touched.accounts if window in {None, _window_name(account)}]
        if len(accounts) != 1:
            names = ", ".join(sorted({_window_name(account) for account in touched.accounts}))
            raise ConfigurationError(
                f"window must be one of {names}, as {scope!r} has them, not {window!r}; nothing was granted"
            )
        yield from self.taken("grant", accounts[0], more)

    def status(
        self, scope: str | tuple[str, ...], key: str | tuple[str, ...], tags: Mapping[str, str]
    ) -> Steps[BudgetStatus]:
        """Read what stands on a scope."""
        touched = self._touched_by(scope, key, tags)
        now_us, states = yield from self.taken("read", touched.accounts)
        names = (scope,) if isinstance(scope, str) else tuple(scope)
        keys = (key,) if isinstance(key, str) else tuple(key)
        return status_of("+".join(names), "/".join(keys), touched, states, now_us)

    def left(self, attribution: Attribution | None) -> Steps[Left]:
        """Read what one more call may take."""
        who = current_attribution() if attribution is None else attribution
        now_us = self.store.now_us()
        touched = self.limits.touched(who, now_us)
        if not touched.accounts:
            return left_of(touched, ())
        try:
            _, sums = yield from self.taken("sums", touched.accounts)
        except StoreError:
            if not self.is_open:
                raise
            return left_of(touched._replace(checks=(), rules=(), places=()), ())
        return left_of(touched, sums)

    def _touched_by(
        self, scope: str | tuple[str, ...], key: str | tuple[str, ...], tags: Mapping[str, str]
    ) -> Touched:
        names = (scope,) if isinstance(scope, str) else tuple(scope)
        keys = (key,) if isinstance(key, str) else tuple(key)
        if names != (ALL,) and len(names) != len(keys):
            raise ConfigurationError(f"scope {scope!r} takes {len(names)} keys, not {key!r}")
        values = dict(tags) | ({} if names == (ALL,) else dict(zip(names, keys, strict=True)))
        own = {name: values.pop(name) for name in _OWN if name in values}
        who = Attribution(**own, tags=values)
        touched = standing_of(self.limits, names, who, self.store.now_us())
        if touched is None or names == (REQUEST,):
            known = sorted({"+".join(limit.names) for limit in self.limits.limits} - {REQUEST})
            raise ConfigurationError(f"no limit on {scope!r} keeps an account; there are {known}")
        return touched

    def _tell(self, dues: Iterable[Due]) -> Steps[None]:
        if self._on_alert is None:
            return
        for due in dues:
            known = (due.account.id, due.name)
            if known in self._claimed:
                continue
            try:
                won = yield "claim", (due.account, due.name)
                self._remember_claim(known)
                if won:
                    yield "call", (self._on_alert, due.alert)
            except Exception:  # noqa: BLE001 - an observer may not break the call it watches
                self.watch.count(alert_failures=1)
                _log.warning(
                    "alert %s of %s %r failed", due.name, due.alert.scope, due.alert.key, exc_info=True
                )

    def forget_names(self) -> None:
        """Drop the names of users and others that are kept to answer faster."""
        self._claimed.clear()
        self.limits.forget_names()

    def _remember_claim(self, known: tuple[str, str]) -> None:
        if len(self._claimed) >= _CLAIMS_KNOWN:
            self._claimed.clear()
        self._claimed.add(known)


def _window_name(account: Account) -> str:
    window = account.id.partition("|")[0]
    return window if account.length_us else window.partition(" ")[0]


def granted_amounts(usd: Money | None = None, tokens: int | None = None, calls: int | None = None) -> Amounts:
    """Return a grant as whole numbers.

    Raises:
        ConfigurationError: Nothing is granted, or an amount is wrong.
    """
    more = Amounts(
        0 if usd is None else nano_for_spend(usd),
        0 if tokens is None else whole(tokens, "tokens"),
        0 if calls is None else whole(calls, "calls"),
    )
    if not any(more):
        raise ConfigurationError("a grant needs usd, tokens or calls above 0; nothing was granted")
    return more


def lease_in_us(lease_s: float) -> int:
    """Return a lease in microseconds.

    Raises:
        ConfigurationError: It is not above 0 and at most a year.
    """
    if (
        isinstance(lease_s, bool)
        or not isinstance(lease_s, (int, float, Decimal))
        or not 0 < lease_s <= _LONGEST_LEASE_S
    ):
        raise ConfigurationError(f"lease_s must be above 0 and at most {_LONGEST_LEASE_S}, not {lease_s!r}")
    return max(1, int(lease_s * 1_000_000))
