"""Records to report on in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tokenomics_core import Attribution, SpendRecord, Usage

START = datetime(2026, 11, 20, 9, 58, 3, tzinfo=UTC)


def spend(
    model: str = "gpt-4o",
    cost: str | None = "0.01",
    *,
    tokens: tuple[int | None, int | None] = (100, 20),
    **more: Any,
) -> SpendRecord:
    """Return a record; keywords that a record does not have go to its usage or attribution."""
    usage = {name: more.pop(name) for name in list(more) if name.endswith("_tokens")}
    who = {name: more.pop(name) for name in ("user", "feature", "project", "tags") if name in more}
    return SpendRecord(
        at=more.pop("at", START) + timedelta(seconds=more.pop("after_s", 0)),
        model=model,
        usage=Usage(input_tokens=tokens[0], output_tokens=tokens[1], **usage),
        cost_usd=None if cost is None else Decimal(cost),
        price_source=more.pop(
            "price_source", "unknown model" if cost is None else "test prices of 2026-11-14"
        ),
        attribution=Attribution(**who),
        **more,
    )


def hit(model: str = "gpt-4o", avoided: str | None = "0.02", **more: Any) -> SpendRecord:
    """Return an answer from a cache."""
    return spend(
        model,
        "0",
        source="cache",
        avoided_usd=None if avoided is None else Decimal(avoided),
        avoided_by="cache",
        price_source="answered from a cache",
        **more,
    )


_counts = st.one_of(st.none(), st.integers(min_value=0, max_value=10**7))
_money = st.one_of(st.none(), st.decimals(min_value=0, max_value=1000, places=9))
_names = st.one_of(st.none(), st.sampled_from(["ada", "grace", "<b>", ""]))

records = st.lists(
    st.builds(
        SpendRecord,
        at=st.datetimes(timezones=st.just(UTC)),
        model=st.sampled_from(["gpt-4o", "claude", "local", "模型"]),
        usage=st.builds(
            Usage,
            input_tokens=_counts,
            output_tokens=_counts,
            cache_read_tokens=_counts,
            cache_write_tokens=_counts,
            reasoning_tokens=_counts,
        ),
        cost_usd=_money,
        price_source=st.sampled_from(["a", "b"]),
        attribution=st.builds(Attribution, user=_names, feature=_names),
        source=st.sampled_from(["model", "cache", "batch"]),
        outcome=st.sampled_from(["ok", "aborted", "cancelled", "error"]),
        estimated=st.booleans(),
        avoided_usd=_money,
        notes=st.lists(st.sampled_from(["one", "two", "three"]), max_size=2).map(tuple),
        id=st.uuids().map(str),
    ),
    max_size=12,
)
