"""No call costs more than the bound that was computed before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from tests.core.pricing.references import moments
from tokenomics_core import ConfigurationError, Usage
from tokenomics_core.pricing import PriceBook

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BOOK = PriceBook(clock=lambda: NOON)
LENGTHS = (0, 1, 500, 199_999, 200_000, 200_001, 272_001, 900_000)


def random_usage(rng: Random, input_tokens: int, output_tokens: int, lengths: Sequence[int] = ()) -> Usage:
    """Any text usage within the counts, often of one of the given lengths."""
    fitting = [length for length in lengths if length <= input_tokens]
    total = rng.choice((input_tokens, rng.randint(0, input_tokens), *fitting))
    output = rng.choice((output_tokens, rng.randint(0, output_tokens)))
    read = rng.choice((0, rng.randint(0, total)))
    write = rng.choice((0, total - read, rng.randint(0, total - read)))
    hour = rng.choice((0, write, rng.randint(0, write)))
    return Usage(
        input_tokens=total,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        reasoning_tokens=rng.choice((0, rng.randint(0, output))),
    )


@pytest.mark.parametrize("provider", get_snapshot().providers, ids=lambda provider: provider.id)
def test_no_text_usage_of_any_model_passes_the_bound(provider) -> None:  # type: ignore[no-untyped-def]  # the type is genai-prices' own
    rng, priced = Random(provider.id), 0
    for model in provider.models:
        for at in moments(rng, model)[:4]:
            most_in, most_out, n = (
                rng.choice(LENGTHS),
                rng.choice((0, 1, 4096, 64_000)),
                rng.choice((1, 1, 3)),
            )
            bound = BOOK.ceiling(model.id, provider.id, at, most_in, most_out, n)
            for _ in range(4):
                usage = random_usage(rng, most_in, most_out * n)
                total = BOOK.cost(usage, model.id, provider.id, at).total_usd
                if total is None:
                    continue
                assert bound is not None
                assert total <= bound, (model.id, usage, at)
                priced += 1
    assert priced > 0 or provider.id == "elevenlabs"


@given(
    prices=st.lists(st.decimals(0, 100, places=4), min_size=6, max_size=6),
    steps=st.lists(
        st.tuples(st.integers(1, 400_000), st.decimals(0, 100, places=4), st.decimals(0, 100, places=4)),
        max_size=4,
    ),
    most_in=st.integers(0, 500_000),
    most_out=st.integers(0, 100_000),
    seed=st.integers(0, 10**6),
)
def test_the_bound_holds_even_where_longer_inputs_are_cheaper(
    prices: list[Decimal],
    steps: list[tuple[int, Decimal, Decimal]],
    most_in: int,
    most_out: int,
    seed: int,
) -> None:
    kinds = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
    tiers = [{"above": above, "input": cost_in, "output": cost_out} for above, cost_in, cost_out in steps]
    book = PriceBook(
        overrides={"m": {**dict(zip(kinds, prices, strict=True)), "tiers": tiers, "requests": "0.001"}},
        clock=lambda: NOON,
    )
    bound = book.ceiling("m", None, None, most_in, most_out)
    rng, lengths = Random(seed), [above for above, _, _ in steps]
    assert bound is not None
    for _ in range(5):
        total = book.cost(random_usage(rng, most_in, most_out, lengths), "m").total_usd
        assert total is not None
        assert total <= bound


def test_a_bound_looks_at_shorter_inputs_where_they_are_dearer() -> None:
    entry = {"input": 10, "output": 0, "tiers": [{"above": 900_000, "input": 1}]}
    assert PriceBook(overrides={"m": entry}).ceiling("m", None, NOON, 1_000_000, 0) == 9


def test_a_bound_takes_every_input_token_as_written_for_an_hour() -> None:
    # 100,000 x 6 + 64,000 x 15, in millionths
    assert BOOK.ceiling("claude-sonnet-4-5", None, None, 100_000, 64_000) == Decimal("1.56")
    assert BOOK.ceiling("claude-sonnet-4-5", None, None, 100_000, 64_000, 3) == Decimal("3.48")
    assert BOOK.ceiling("claude-sonnet-4-5", None, None, 100_000, 64_000, batch=True) == Decimal("0.78")


def test_a_bound_counts_audio_only_where_it_may_occur() -> None:
    text = BOOK.ceiling("gpt-audio", None, None, 1_000_000, 1_000_000)
    audio = BOOK.ceiling("gpt-audio", None, None, 1_000_000, 1_000_000, audio=True)
    assert (text, audio) == (Decimal("12.5"), 96)


def test_a_bound_for_a_call_that_lasts_covers_a_price_that_rises_meanwhile() -> None:
    before_peak = datetime(2026, 11, 20, 0, 59, tzinfo=UTC)
    at_once = BOOK.ceiling("deepseek-v4-pro", None, before_peak, 1_000_000, 0)
    lasting = BOOK.ceiling("deepseek-v4-pro", None, before_peak, 1_000_000, 0, lasting_s=120)
    assert (at_once, lasting) == (Decimal("0.66"), Decimal("1.32"))
    saturday = before_peak + timedelta(days=1)
    assert BOOK.ceiling("deepseek-v4-pro", None, saturday, 1_000_000, 0, lasting_s=120) == Decimal("0.66")
    friday_night = datetime(2026, 11, 20, 23, tzinfo=UTC)
    through_monday = BOOK.ceiling("deepseek-v4-pro", None, friday_night, 1_000_000, 0, lasting_s=3 * 86_400)
    assert through_monday == Decimal("1.32")


def test_there_is_no_bound_without_a_price_per_token() -> None:
    assert BOOK.ceiling("no-such-model", None, None, 10, 10) is None
    assert BOOK.ceiling("whisper-1", None, None, 10, 10) is None


@pytest.mark.parametrize("counts", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_negative_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigurationError, match="not -1; no bound"):
        BOOK.ceiling("gpt-4o", None, None, *counts)
