"""Without the overlay, every cost is that of genai-prices, to the last digit."""

from __future__ import annotations

import decimal
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from tests.core.pricing.references import genai_price, moments, random_usage
from tokenomics_core import ConfigurationError, Usage
from tokenomics_core.pricing import PriceBook

PROVIDERS = {provider.id: provider for provider in get_snapshot().providers}
USAGES_PER_MOMENT = 3


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook(overlay=False)


@pytest.mark.parametrize("provider_id", sorted(PROVIDERS))
def test_every_model_of_a_provider_costs_what_genai_prices_says(book: PriceBook, provider_id: str) -> None:
    rng = Random(provider_id)
    provider = PROVIDERS[provider_id]
    compared = 0
    for model in provider.models:
        resolved = book.resolve(model.id, provider_id)
        assert resolved is not None, model.id
        assert (resolved.provider, resolved.model) == (provider_id, model.id)
        for at in moments(rng, model):
            for _ in range(USAGES_PER_MOMENT):
                compared += _compare(book, provider, model, random_usage(rng, model), at)
    assert compared > len(provider.models)


def _compare(book: PriceBook, provider: Any, model: Any, usage: Usage, at: datetime) -> bool:
    """Compare one cost; whether both had one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = genai_price(provider, model, usage, at)
    except ValueError as refused:
        if "overlapping usage keys" in str(refused):
            assert _is_estimated_or_refused(book, usage, model.id, provider.id, at)
            return False
        with pytest.raises(ConfigurationError, match="nothing was priced"):
            book.cost(usage, model.id, provider.id, at)
        return False
    cost = book.cost(usage, model.id, provider.id, at)
    found = (cost.total_usd, cost.input_usd, cost.output_usd)
    assert found == expected, (provider.id, model.id, usage, at, cost)
    return True


def _is_estimated_or_refused(book: PriceBook, usage: Usage, model: str, provider: str, at: datetime) -> bool:
    try:
        return book.cost(usage, model, provider, at).estimated
    except ConfigurationError:
        return True


def test_the_rounding_of_genai_prices_is_matched_where_28_digits_do_not_suffice(book: PriceBook) -> None:
    rng, rounded = Random(28), 0
    for provider in PROVIDERS.values():
        for model in provider.models:
            usage = Usage(
                input_tokens=rng.randrange(10**17, 10**18),
                output_tokens=rng.randrange(10**17),
                extras={"audio_seconds": rng.randrange(1, 10**6)},
            )
            at = datetime(2026, 11, 1, tzinfo=UTC)
            expected = genai_price(provider, model, usage, at)
            assert book.cost(usage, model.id, provider.id, at).total_usd == expected[0]
            rounded += len(expected[0].as_tuple().digits) == 28
    assert rounded > 20


def test_the_callers_decimal_settings_change_nothing(book: PriceBook) -> None:
    usage = Usage(
        input_tokens=123_456_789, output_tokens=987_654, extras={"web_searches": 3, "audio_seconds": 7.7}
    )
    names = [("gpt-4.1", "openai"), ("voxtral-small-24b-2507", "mistral"), ("claude-sonnet-4-5", "anthropic")]
    at = datetime(2026, 11, 1, tzinfo=UTC)
    expected = [book.cost(usage, *name, at) for name in names]
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert [book.cost(usage, *name, at) for name in names] == expected
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert PriceBook(overlay=False).cost(usage, *names[0], at) == expected[0]


def test_a_call_to_whisper_on_groq_pays_for_ten_seconds_at_least(book: PriceBook) -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    costs = [
        book.cost(Usage(extras={"audio_seconds": seconds}), "whisper-large-v3", "groq", at).total_usd
        for seconds in (0, 3, 10, 20)
    ]
    ten_seconds = Decimal("0.111") * 10 / 3600
    assert costs == [0, ten_seconds, ten_seconds, Decimal("0.111") * 20 / 3600]
