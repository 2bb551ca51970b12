"""Records, strategies and slow reference sums for the tests of ledgers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tokenomics_core import Attribution, SpendRecord, Usage

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
COUNTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def call(cost_usd: str | None = "0.25", **changes) -> SpendRecord:
    """Make a record with the given cost; every other field can be set."""
    values = {
        "at": NOON,
        "model": "small",
        "usage": Usage(input_tokens=100, output_tokens=10),
        "cost_usd": None if cost_usd is None else Decimal(cost_usd),
        "price_source": "a price list",
    }
    return SpendRecord(**(values | changes))


def by_user(user: str | None, cost_usd: str = "0.25", **changes) -> SpendRecord:
    return call(cost_usd, attribution=Attribution(user=user), **changes)


names = st.none() | st.sampled_from(["", "ada", "bob", 'a "quoted" name', "日本\n語"])
texts = st.sampled_from(["small", "large", "a/b:c@d", "ünïcode", "'; DROP TABLE records; --"])
amounts = st.none() | st.one_of(
    st.decimals(-1000, 1000, places=15),
    st.decimals(0, 1, allow_nan=False),
    st.sampled_from([Decimal("9223372.036854775807"), Decimal("-9223372.036854775807"), Decimal("5E-13")]),
)
counts = st.none() | st.integers(0, 10**12)
instants = st.datetimes(
    datetime(2025, 1, 1),
    datetime(2027, 1, 1),
    timezones=st.sampled_from([UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]),
)


@st.composite
def usages(draw) -> Usage:
    write_5m, write_1h = draw(counts), draw(counts)
    write = None if write_5m is None and write_1h is None else (write_5m or 0) + (write_1h or 0)
    if write is None or write > 10**12:
        write_5m = write_1h = None
        write = draw(counts)
    return Usage(
        input_tokens=draw(counts),
        output_tokens=draw(counts),
        cache_read_tokens=draw(counts),
        cache_write_tokens=write,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=draw(counts),
        input_audio_tokens=draw(st.none() | st.just(0) | st.just(7)),
        service_tier=draw(st.none() | st.just("flex")),
        batch=draw(st.booleans()),
        extras=draw(st.sampled_from([{}, {"web_searches": 3}, {"audio_seconds": Decimal("1.10")}])),
        context=draw(st.sampled_from([{}, {"region": "eu"}])),
        estimated=draw(st.booleans()),
    )


@st.composite
def records(draw) -> SpendRecord:
    return SpendRecord(
        at=draw(instants),
        model=draw(texts),
        provider=draw(names),
        usage=draw(usages()),
        cost_usd=draw(amounts),
        price_source=draw(texts),
        attribution=Attribution(
            user=draw(names),
            feature=draw(names),
            project=draw(names),
            conversation=draw(names),
            run=draw(names),
            tags=draw(st.dictionaries(texts, st.sampled_from(["x", "", 'y"', "\\"]), max_size=3)),
        ),
        source=draw(st.sampled_from(["model", "cache", "batch"])),
        operation=draw(texts),
        outcome=draw(st.sampled_from(["ok", "aborted", "cancelled", "error"])),
        estimated=draw(st.booleans()),
        latency_s=draw(st.none() | st.floats(0, 1000)),
        avoided_usd=draw(amounts),
        avoided_by=draw(st.none() | st.sampled_from(["cache", "route"])),
        notes=draw(st.sampled_from([(), ("one",), ("a", "b\n")])),
    )


def pico(amount: Decimal | None) -> int:
    """Round to 10^-12 by fractions, which know nothing of decimal contexts; `round` is half to even."""
    return 0 if amount is None else round(Fraction(amount) * 10**12)


def reference_sums(kept: list[SpendRecord]) -> Mapping[str, Fraction | int]:
    """Add records up the slow way."""
    sums: defaultdict[str, Fraction | int] = defaultdict(int)
    for record in kept:
        sums["cost_usd"] += Fraction(pico(record.cost_usd), 10**12)
        sums["avoided_usd"] += Fraction(pico(record.avoided_usd), 10**12)
        sums["calls"] += 1
        sums["cached_calls"] += record.source == "cache"
        sums["unpriced_calls"] += record.cost_usd is None
        sums["estimated_calls"] += record.estimated
        for name in COUNTS:
            sums[name] += 0 if record.source == "cache" else getattr(record.usage, name) or 0
    return sums


def assert_totals(totals, kept: list[SpendRecord]) -> None:
    for name, expected in reference_sums(kept).items():
        assert Fraction(getattr(totals, name)) == expected, name


def exact_pico(amount: Decimal) -> Decimal:
    with localcontext(prec=60):
        return Decimal(pico(amount)).scaleb(-12)


def start_of(at: datetime, bucket: str, zone: str) -> datetime:
    """Find a bucket's start from the labels of the local clock, whose changes here are whole hours."""
    local = at.astimezone(ZoneInfo(zone))
    if bucket == "hour":
        return at.astimezone(UTC) - timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
    days = {"day": 0, "week": local.weekday(), "month": local.day - 1}[bucket]
    first = local.date() - timedelta(days=days)
    midnight = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    return midnight.astimezone(UTC)
