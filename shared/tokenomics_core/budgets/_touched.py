"""Which limits a call touches, and the accounts that they count on: a function of values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from tokenomics_core.budgets._account_id import account_id
from tokenomics_core.budgets._limit import ALL, REQUEST, UNITS, Limit, Unit
from tokenomics_core.budgets._money import from_nano
from tokenomics_core.budgets._store import Account, Amounts, Check
from tokenomics_core.budgets._window import Window
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.types import Attribution

__all__ = ["LimitSet", "Place", "Rule", "Touched", "Where", "over_request", "standing_of"]

_CACHED = 8192


class Rule:
    """One limit in one unit."""

    __slots__ = (
        "action",
        "alerts",
        "amount",
        "downgrade_to",
        "limit",
        "match",
        "unit",
        "unit_index",
        "where",
    )

    def __init__(self, limit: Limit, unit: Unit, amount: int, where: Where) -> None:
        self.unit, self.amount, self.where = unit, amount, where
        self.unit_index = UNITS.index(unit)
        self.match = tuple(limit.match.items())
        self.action = limit.action
        self.downgrade_to = limit.downgrade_to
        self.alerts = tuple((share, int(Decimal(repr(share)) * amount)) for share in limit.alerts)

    def shown(self, amount: int) -> Decimal | int:
        """Return an amount of the rule's unit as people count it."""
        return from_nano(amount) if self.unit == "usd" else amount

    def error(
        self, key: str, granted: int, committed: int, requested: int, rule: str = "limit"
    ) -> BudgetExceededError:
        """Return the error that says why a call was refused."""
        where = self.where
        return BudgetExceededError(
            where.scope,
            key,
            REQUEST if where.names == (REQUEST,) else where.window.name,
            self.unit,
            self.shown(self.amount + granted),
            self.shown(committed),
            self.shown(requested),
            rule,
        )


class Where:
    """A scope and a window: what an account is made from."""

    __slots__ = ("account_names", "names", "scope", "window")

    def __init__(self, limit: Limit) -> None:
        self.names = limit.names
        self.account_names = tuple(sorted(self.names))
        self.scope = "+".join(self.names)
        self.window = Window(limit.window, limit.timezone)

    def place(self, attribution: Attribution, now_us: int) -> Place | None:
        """Return where a call counts; None where it lacks a part of the scope."""
        if self.names == (ALL,):
            return Place("", self._account((), now_us))
        values = {name: attribution.get(name) for name in self.names}
        if None in values.values():
            return None
        key = "/".join(str(values[name]) for name in self.names)
        return Place(key, self._account(tuple(str(values[name]) for name in self.account_names), now_us))

    def _account(self, values: tuple[str, ...], now_us: int) -> Account:
        window = self.window
        start, end = window.span_us(now_us)
        return Account(
            account_id(window.id, self.account_names, values, start),
            start,
            end,
            window.length_us,
            window.bucket_us,
        )


class Place(NamedTuple):
    """Whom a limit counts for, by name, and the account it counts on."""

    key: str
    account: Account


class Touched(NamedTuple):
    """Everything a call is checked against.

    Attributes:
        accounts: Where it counts.
        checks: The limits on them.
        rules: The rule behind each check.
        places: Where each rule counts.
        request: Rules on the call alone.
        missing: Scopes that have limits and that the attribution does not name.
        from_us: From when on this holds.
        until_us: Until when; the first window to end ends it.
    """

    accounts: tuple[Account, ...]
    checks: tuple[Check, ...]
    rules: tuple[Rule, ...]
    places: tuple[Place, ...]
    request: tuple[Rule, ...]
    missing: tuple[str, ...]
    from_us: int
    until_us: int


class LimitSet:
    """All limits, ready to be asked which of them a call touches."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self.limits = tuple(limits)
        for limit in self.limits:
            if not isinstance(limit, Limit):
                raise ConfigurationError(f"limits must be Limit values, not {limit!r}")
        self.slots = _slots(self.limits)
        names = {name for limit in self.limits for name in (*limit.names, *limit.match)}
        self._dimensions = tuple(sorted(names - {ALL, REQUEST}))
        self._cache: dict[tuple[str | None, ...], Touched] = {}

    @property
    def units(self) -> frozenset[Unit]:
        """The units that any limit counts in."""
        return frozenset(rule.unit for slot in self.slots for rule in slot)

    def forget_names(self) -> None:
        """Drop the names of users and others that are kept to answer faster."""
        self._cache.clear()

    def touched(self, attribution: Attribution, now_us: int) -> Touched:
        """Return what a call is checked against at a time of the store."""
        key = tuple(map(attribution.get, self._dimensions))
        found = self._cache.get(key)
        if found is not None and found.from_us <= now_us < found.until_us:
            return found
        made = _touch(self.slots, attribution, now_us)
        if found is None or now_us >= found.until_us:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[key] = made
        return made


def standing_of(
    limits: LimitSet, names: tuple[str, ...], attribution: Attribution, now_us: int
) -> Touched | None:
    """Return every account of a scope and the limits that match; None where no limit has that scope."""
    wanted = set(names)
    slots = [slot for slot in limits.slots if set(slot[0].where.names) == wanted]
    if not slots:
        return None
    made = _touch(slots, attribution, now_us)
    accounts = list(made.accounts)
    known = {account.id for account in accounts}
    for slot in slots:
        place = slot[0].where.place(attribution, now_us)
        if place is not None and place.account.id not in known:
            known.add(place.account.id)
            accounts.append(place.account)
    return made._replace(accounts=tuple(accounts))


def over_request(rule: Rule, amounts: Amounts) -> bool:
    """Whether a call alone is more than a limit on every request allows."""
    return amounts[rule.unit_index] > rule.amount


def _touch(slots: Iterable[Sequence[Rule]], attribution: Attribution, now_us: int) -> Touched:
    accounts: dict[str, tuple[int, Account]] = {}
    checks, rules, places, request, missing = [], [], [], [], []
    for slot in slots:
        rule = _best(slot, attribution)
        if rule is None:
            continue
        if rule.where.names == (REQUEST,):
            request.append(rule)
            continue
        place = rule.where.place(attribution, now_us)
        if place is None:
            missing.append(rule.where.scope)
            continue
        index, _ = accounts.setdefault(place.account.id, (len(accounts), place.account))
        checks.append(Check(index, rule.unit_index, rule.amount, rule.downgrade_to is not None))
        rules.append(rule)
        places.append(place)
    distinct = tuple(account for _, account in accounts.values())
    return Touched(
        distinct,
        tuple(checks),
        tuple(rules),
        tuple(places),
        tuple(request),
        tuple(missing),
        max((account.start_us for account in distinct if account.end_us), default=0),
        min((account.end_us for account in distinct if account.end_us), default=2**62),
    )


def _slots(limits: Sequence[Limit]) -> tuple[tuple[Rule, ...], ...]:
    """Group the rules of which one holds for a call: same scope, window and unit, all hard or all soft."""
    slots: dict[tuple[object, ...], list[Rule]] = {}
    wheres: dict[tuple[object, ...], Where] = {}
    for limit in limits:
        where = Where(limit)
        where = wheres.setdefault((where.names, where.window.id), where)
        for unit in UNITS:
            amount = limit.amount(unit)
            if amount is None:
                continue
            rule = Rule(limit, unit, amount, where)
            slot = slots.setdefault((where.account_names, where.window.id, unit, rule.downgrade_to), [])
            if any(set(other.match) == set(rule.match) for other in slot):
                of = dict(rule.match) or "everyone"
                raise ConfigurationError(f"two limits in {unit} on {where.scope} ({where.window.name}), {of}")
            slot.append(rule)
    for slot in slots.values():
        slot.sort(key=lambda rule: (-len(rule.match), rule.amount))
    return tuple(tuple(slot) for slot in slots.values())


def _best(slot: Sequence[Rule], attribution: Attribution) -> Rule | None:
    for rule in slot:  # most specific first, of equals the smaller
        if all(attribution.get(name) == value for name, value in rule.match):
            return rule
    return None
