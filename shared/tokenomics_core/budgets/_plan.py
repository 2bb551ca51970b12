"""From a monthly sum, tiers of users and shares of features to limits, with a check that they add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

from tokenomics_core.budgets._limit import Limit
from tokenomics_core.budgets._money import Money, from_nano, nano_for_spend, whole
from tokenomics_core.errors import ConfigurationError

__all__ = ["BudgetPlan", "PlanCheck", "UserTier", "plan_budgets"]

_MILLION = Decimal(1_000_000)
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTier:
    """Users who get the same.

    Attributes:
        name: The value of the tag `user_tier`.
        users: How many there are.
        tokens_per_day: What each may use a day.
        usd_per_day: What each may spend a day; None for what the tokens are worth.
    """

    name: str = field(kw_only=False)
    users: int
    tokens_per_day: int
    usd_per_day: Money | None = None

    def __post_init__(self) -> None:
        whole(self.users, "users")
        whole(self.tokens_per_day, "tokens_per_day")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCheck:
    """One thing that must agree with another.

    Attributes:
        name: What was compared.
        ok: Whether it agrees.
        message: The numbers in words.
    """

    name: str
    ok: bool
    message: str

    def __str__(self) -> str:
        return f"{'ok ' if self.ok else 'NO '} {self.name}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """Limits as asked for, whether they agree with one another, and limits that would.

    Attributes:
        limits: What was asked for, token limits with the dollar limits that follow from the price.
        checks: Where the numbers agree and where they do not.
        scale: By how much user limits must shrink or may grow so that all users together use up the month.
        fitted_limits: `limits` with the daily limits of users scaled like that.
    """

    limits: tuple[Limit, ...]
    checks: tuple[PlanCheck, ...]
    scale: Decimal
    fitted_limits: tuple[Limit, ...]

    @property
    def adds_up(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        return "\n".join(str(check) for check in self.checks)


def plan_budgets(
    *,
    monthly_usd: Money,
    usd_per_mtok: Money,
    tiers: Sequence[UserTier],
    features: Mapping[str, float | Decimal],
    tokens_per_request: int,
    alerts: tuple[float, ...] = (0.8, 1.0),
    active_days: int = 30,
    timezone: str = "UTC",
) -> BudgetPlan:
    """Turn a monthly sum into limits, and say where the numbers do not add up.

    The limits stop overspending in any case: the month's sum is one of them. The checks tell whether users
    will meet their own limit first, or the month's, which then stops everybody.

    Args:
        monthly_usd: The sum for everything in a month.
        usd_per_mtok: What a million tokens cost on average, input and output together.
        tiers: Who gets how much a day.
        features: Each feature's share of the month, in [0, 1].
        tokens_per_request: The most that one request may use.
        alerts: Shares of each limit at which to tell.
        active_days: On how many days of a month a user works.
        timezone: IANA name of the zone whose days and months count.

    Raises:
        ConfigurationError: A number is wrong by itself, such as a share above 1.
    """
    month = from_nano(nano_for_spend(monthly_usd, "monthly_usd"))
    price = from_nano(nano_for_spend(usd_per_mtok, "usd_per_mtok"))
    shares = _shares(features)
    whole(tokens_per_request, "tokens_per_request")
    if not month or not price or not tokens_per_request:
        raise ConfigurationError(
            "monthly_usd, usd_per_mtok and tokens_per_request must be above 0, not "
            f"{monthly_usd!r}, {usd_per_mtok!r} and {tokens_per_request!r}"
        )
    if not tiers or len({tier.name for tier in tiers}) != len(tiers):
        raise ConfigurationError(
            f"tiers must be one or more of different names, not {[t.name for t in tiers]}"
        )
    if type(active_days) is not int or not 1 <= active_days <= 31:
        raise ConfigurationError(f"active_days must be from 1 to 31, not {active_days!r}")
    daily_usd = sum((tier.users * _most_usd(tier, price) for tier in tiers), Decimal(0))
    asked_usd = daily_usd * active_days
    scale = month / asked_usd if asked_usd else Decimal(1)
    common = _Common(alerts, timezone)
    shared = _shared_limits(month, price, shares, tokens_per_request, common)
    return BudgetPlan(
        limits=(*shared, *_user_limits(tiers, price, Decimal(1), common)),
        checks=(
            _check_shares(shares),
            _check_month(month, price, tiers, active_days, asked_usd),
            _check_day(month, price, daily_usd),
            *(_check_requests(tier, Decimal(1), tokens_per_request, "as asked") for tier in tiers),
            *(
                _check_requests(tier, scale, tokens_per_request, "scaled to the month")
                for tier in tiers
                if scale < 1
            ),
            _check_units(price, tiers),
        ),
        scale=scale,
        fitted_limits=(*shared, *_user_limits(tiers, price, scale, common)),
    )


@dataclass(frozen=True, slots=True)
class _Common:
    alerts: tuple[float, ...]
    timezone: str

    def limit(
        self,
        scope: str,
        usd: Decimal,
        tokens: int | None = None,
        *,
        match: Mapping[str, str] | None = None,
        window: str | None = None,
    ) -> Limit:
        return Limit(
            scope,
            usd=usd,
            tokens=tokens,
            match=match or {},
            window=window,
            timezone=self.timezone,
            alerts=self.alerts,
        )


def _shares(features: Mapping[str, float | Decimal]) -> dict[str, Decimal]:
    shares = {name: Decimal(str(share)) for name, share in features.items()}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigurationError(f"the share of {name!r} must be in [0, 1], not {features[name]!r}")
    return shares


def _shared_limits(
    month: Decimal, price: Decimal, shares: Mapping[str, Decimal], tokens_per_request: int, common: _Common
) -> list[Limit]:
    limits = [
        common.limit("request", _usd(tokens_per_request, price), tokens_per_request),
        common.limit("all", month, window="month"),
    ]
    limits += [
        common.limit("feature", month * share, match={"feature": name}, window="month")
        for name, share in shares.items()
    ]
    return limits


def _user_limits(tiers: Sequence[UserTier], price: Decimal, scale: Decimal, common: _Common) -> list[Limit]:
    limits = []
    for tier in tiers:
        tokens = int((tier.tokens_per_day * scale).to_integral_value(rounding=ROUND_FLOOR))
        limits.append(
            common.limit(
                "user", _tier_usd(tier, price) * scale, tokens, match={"user_tier": tier.name}, window="day"
            )
        )
    return limits


def _check_shares(shares: Mapping[str, Decimal]) -> PlanCheck:
    total = sum(shares.values(), Decimal(0))
    words = " + ".join(f"{name} {_percent(share)}" for name, share in shares.items())
    return PlanCheck(name="feature shares", ok=total == 1, message=f"{words} = {_percent(total)}")


def _check_month(
    month: Decimal, price: Decimal, tiers: Sequence[UserTier], active_days: int, asked_usd: Decimal
) -> PlanCheck:
    parts = " + ".join(
        f"{tier.users:,} {tier.name} at {_dollars(tier.users * _most_usd(tier, price))} a day"
        for tier in tiers
    )
    times = asked_usd / month
    return PlanCheck(
        name="user limits against the month",
        ok=asked_usd <= month,
        message=(
            f"{parts}, on {active_days} days: {_dollars(asked_usd)} against {_dollars(month)}, "
            f"{times:.3g} times the month"
        ),
    )


def _check_day(month: Decimal, price: Decimal, daily_usd: Decimal) -> PlanCheck:
    affordable = month / price * _MILLION
    days = month / daily_usd if daily_usd else Decimal("Infinity")
    return PlanCheck(
        name="how long the month's sum lasts",
        ok=days >= 28,
        message=(
            f"{_dollars(month)} buys {affordable / _MILLION:,.0f}M tokens; if everybody spends all they may, "
            f"{_dollars(daily_usd)} a day, that is {days:.3g} days"
        ),
    )


def _check_requests(tier: UserTier, scale: Decimal, tokens_per_request: int, how: str) -> PlanCheck:
    tokens = int(tier.tokens_per_day * scale)
    requests = Decimal(tokens) / tokens_per_request
    return PlanCheck(
        name=f"requests a day, {tier.name}, {how}",
        ok=requests >= 1,
        message=f"{tokens:,} tokens a day are {requests:.3g} requests of {tokens_per_request:,} tokens",
    )


def _check_units(price: Decimal, tiers: Sequence[UserTier]) -> PlanCheck:
    said, ok = [], True
    for tier in tiers:
        worth, usd = _usd(tier.tokens_per_day, price), _tier_usd(tier, price)
        words = f"{tier.name} {tier.tokens_per_day:,} tokens = {_dollars(worth)}"
        if usd != worth:
            ok = False
            first = "dollars" if usd < worth else "tokens"
            words += f", but {_dollars(usd)} is its dollar limit: {first} end first"
        said.append(words)
    return PlanCheck(
        name="token and dollar limits", ok=ok, message=f"at ${price} per million tokens: {'; '.join(said)}"
    )


def _most_usd(tier: UserTier, price: Decimal) -> Decimal:
    """Return what a user of a tier can spend a day: whichever limit ends first."""
    return min(_usd(tier.tokens_per_day, price), _tier_usd(tier, price))


def _tier_usd(tier: UserTier, price: Decimal) -> Decimal:
    if tier.usd_per_day is None:
        return _usd(tier.tokens_per_day, price)
    return from_nano(nano_for_spend(tier.usd_per_day, "usd_per_day"))


def _usd(tokens: int, price: Decimal) -> Decimal:
    return tokens * price / _MILLION


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}".replace(".00", "") if amount >= _CENT else f"${amount:f}"


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"
