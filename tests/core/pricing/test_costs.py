"""What a usage costs, by hand arithmetic, and when that is not known."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError, Cost, UnknownModelError, Usage
from tokenomics_core.pricing import PriceBook, default_price_book, provider_cost
from tokenomics_core.protocols import Pricer

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BOOK = PriceBook(clock=lambda: NOON)
TINY = Usage(input_tokens=1, output_tokens=1)

prices = st.decimals(min_value=0, max_value=1000, places=9)
tokens = st.integers(min_value=0, max_value=10**9)


@given(
    sheet=st.fixed_dictionaries(
        dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"), prices)
    ),
    long=st.tuples(st.integers(min_value=1, max_value=10**6), prices, prices),
    fee=prices,
    parts=st.tuples(tokens, tokens, tokens, tokens, tokens, tokens),
)
def test_a_cost_is_the_exact_sum_of_its_parts(
    sheet: dict[str, Decimal],
    long: tuple[int, Decimal, Decimal],
    fee: Decimal,
    parts: tuple[int, int, int, int, int, int],
) -> None:
    plain, read, short_lived, hour, answer, reasoning = parts
    above, long_input, long_output = long
    entry: dict[str, Any] = {
        **sheet, "requests": fee, "tiers": [{"above": above, "input": long_input, "output": long_output}]
    }  # fmt: skip
    usage = Usage(
        input_tokens=plain + read + short_lived + hour,
        output_tokens=answer + reasoning,
        cache_read_tokens=read,
        cache_write_tokens=short_lived + hour,
        cache_write_1h_tokens=hour,
        reasoning_tokens=reasoning,
    )
    is_long = plain + read + short_lived + hour > above
    rate = {kind: Fraction(price) for kind, price in sheet.items()}
    if is_long:
        rate |= {"input": Fraction(long_input), "output": Fraction(long_output)}
    input_usd = (
        plain * rate["input"]
        + read * rate["cache_read"]
        + short_lived * rate["cache_write"]
        + hour * rate["cache_write_1h"]
    ) / 1_000_000
    output_usd = (answer * rate["output"] + reasoning * rate["reasoning"]) / 1_000_000

    cost = PriceBook(overrides={"m": entry}).cost(usage, "m")

    assert cost.input_usd is not None
    assert cost.output_usd is not None
    assert cost.total_usd is not None
    if cost.total_usd < 10**10:
        assert Fraction(cost.input_usd) == input_usd
        assert Fraction(cost.output_usd) == output_usd
        assert Fraction(cost.total_usd) == input_usd + output_usd + Fraction(fee)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("gpt-4o", Usage(input_tokens=1000, output_tokens=500), "0.0075"),
        ("gpt-4o", Usage(input_tokens=1000, output_tokens=500, cache_read_tokens=400), "0.007"),
        ("gpt-5", Usage(input_tokens=1000, output_tokens=500, reasoning_tokens=300), "0.00625"),
        (
            "claude-sonnet-4-5",
            Usage(
                input_tokens=10_000,
                output_tokens=200,
                cache_read_tokens=4_000,
                cache_write_5m_tokens=1_000,
                cache_write_1h_tokens=2_000,
            ),
            # 3,000 x 3 + 4,000 x 0.3 + 1,000 x 3.75 + 2,000 x 6 + 200 x 15, in millionths
            "0.02895",
        ),
        ("claude-sonnet-4-5", Usage(input_tokens=200_000, output_tokens=10), "0.60015"),
        ("claude-sonnet-4-5", Usage(input_tokens=200_001, output_tokens=10), "1.200231"),
        ("gpt-5", Usage(input_tokens=1000, output_tokens=500, service_tier="flex"), "0.003125"),
        ("gpt-5", Usage(input_tokens=1000, output_tokens=500, service_tier="priority"), "0.0125"),
        ("gpt-5", Usage(input_tokens=1000, output_tokens=500, batch=True), "0.003125"),
        ("claude-sonnet-4-5", Usage(input_tokens=1000, output_tokens=500, service_tier="batch"), "0.00525"),
        ("gpt-4o", Usage(input_tokens=10, output_tokens=5, extras={"web_searches": 2}), "0.020075"),
        ("text-embedding-3-small", Usage(input_tokens=1_000_000), "0.02"),
        ("sonar-pro", Usage(input_tokens=0, output_tokens=0), "0.014"),
        ("whisper-1", Usage(extras={"audio_seconds": 90}), "0.009"),
        ("gpt-audio", Usage(input_tokens=100, input_audio_tokens=60, output_tokens=0), "0.00202"),
    ],
)
def test_a_cost_equals_hand_arithmetic(model: str, usage: Usage, usd: str) -> None:
    assert BOOK.cost(usage, model).total_usd == Decimal(usd)


def test_a_cost_says_where_its_price_came_from() -> None:
    cost = BOOK.cost(Usage(input_tokens=1, output_tokens=1), "claude-sonnet-4-6")
    assert cost.source.startswith("genai-prices 0.2.")
    assert cost.source.endswith(": anthropic/claude-sonnet-4-6, from 2026-03-13")
    assert cost.price_date == date(2026, 3, 13)
    assert (cost.provider, cost.model, cost.estimated) == ("anthropic", "claude-sonnet-4-6", False)
    batch = BOOK.cost(Usage(input_tokens=1, output_tokens=1, batch=True), "claude-sonnet-4-5")
    assert batch.source.endswith(": anthropic/claude-sonnet-4-5, processing=batch")


def test_an_estimated_usage_makes_an_estimated_cost() -> None:
    assert BOOK.cost(Usage(input_tokens=1, output_tokens=1, estimated=True), "gpt-4o").estimated


@pytest.mark.parametrize(
    ("model", "usage", "reason"),
    [
        ("gpt-4o", Usage(), "nothing that this model is billed by"),
        ("gpt-4o", Usage(input_tokens=5), "number of output tokens is not known"),
        ("gpt-4o", Usage(output_tokens=5), "number of input tokens is not known"),
        ("gpt-4o", Usage(cache_read_tokens=5), "number of input tokens is not known"),
        ("whisper-1", Usage(input_tokens=5, output_tokens=5), "billed by audio_seconds, input_audio_seconds"),
        ("gpt-4o", Usage(extras={"rerank_searches": 3}), "nothing that this model is billed by"),
    ],
)
def test_a_count_that_is_missing_makes_the_cost_unknown_and_not_zero(
    model: str, usage: Usage, reason: str
) -> None:
    cost = BOOK.cost(usage, model)
    assert (cost.total_usd, cost.input_usd, cost.output_usd) == (None, None, None)
    assert reason in cost.notes[-1]


@pytest.mark.parametrize(
    ("model", "usage", "note"),
    [
        (
            "gpt-4o",
            Usage(input_tokens=9, output_tokens=1, cache_write_1h_tokens=5),
            "no price for cache writes that live an hour; charged as plain input",
        ),
        (
            "gemini-2.5-pro",
            Usage(input_tokens=9, output_tokens=1, service_tier="flex"),
            "no price for service_tier=flex at that time; the standard price was used",
        ),
        (
            "gemini-2.5-pro",
            Usage(input_tokens=9, output_tokens=1, batch=True, service_tier="flex"),
            "no price for service_tier=flex at that time; the price for processing=batch was used",
        ),
        (
            "gpt-4.1",
            Usage(input_tokens=9, output_tokens=1, batch=True, service_tier="priority"),
            "the price for processing=batch gave way to that for service_tier=priority",
        ),
        (
            "gpt-4-turbo-2024-04-09",
            Usage(input_tokens=9, output_tokens=1, context={"route": "moon"}),
            "no price for route=moon at that time; the standard price was used",
        ),
        (
            "claude-sonnet-4-5",
            Usage(input_tokens=9, output_tokens=1, service_tier="fast"),
            "no price for service_tier=fast at that time; the standard price was used",
        ),
        (
            "gpt-4o-mini-audio-preview",
            Usage(input_tokens=9, output_tokens=1, input_audio_tokens=4),
            "no price for audio; input_audio_tokens=4 was charged as text",
        ),
        (
            "claude-sonnet-4-5",
            Usage(input_tokens=9, output_tokens=1, extras={"storage_searches": 4}),
            "storage_searches=4 was not charged: the price data has no price for it",
        ),
        (
            "claude-sonnet-4-5",
            Usage(input_tokens=9, output_tokens=1, extras={"moonbeams": 4}),
            "moonbeams=4 was not priced: no such unit is known",
        ),
    ],
)
def test_what_has_no_price_of_its_own_is_remarked(model: str, usage: Usage, note: str) -> None:
    cost = BOOK.cost(usage, model)
    assert cost.total_usd is not None
    assert cost.notes == (note,)


@pytest.mark.parametrize("tier", ["standard", "default", "auto", ""])
def test_ordinary_service_tiers_need_no_remark(tier: str) -> None:
    usage = Usage(input_tokens=10, output_tokens=1, service_tier=tier)
    cost = BOOK.cost(usage, "gpt-4o")
    assert cost.total_usd == BOOK.cost(Usage(input_tokens=10, output_tokens=1), "gpt-4o").total_usd
    assert cost.notes == ()


def test_the_fast_tier_of_anthropic_is_found_under_its_own_name() -> None:
    fast = BOOK.cost(Usage(input_tokens=10**6, output_tokens=0, service_tier="fast"), "claude-opus-4-8")
    plain = BOOK.cost(Usage(input_tokens=10**6, output_tokens=0), "claude-opus-4-8")
    assert fast.total_usd is not None
    assert plain.total_usd is not None
    assert fast.total_usd > plain.total_usd
    assert fast.notes == ()


def test_cached_audio_that_nobody_counted_is_assumed_least_and_marked() -> None:
    usage = Usage(input_tokens=100, output_tokens=0, input_audio_tokens=70, cache_read_tokens=50)
    cost = BOOK.cost(usage, "gpt-4o-realtime-preview", "openai")
    assert cost.estimated
    assert "20 was assumed" in cost.notes[0]
    # 20 cached audio at 2.5, 50 other audio at 40, 30 cached text at 2.5, no plain text; in millionths
    assert cost.total_usd == Decimal("0.002125")


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        (
            Usage(input_tokens=100, output_tokens=0, cache_read_tokens=500),
            "input_tokens=100 is less than its parts: cache_read_tokens=500; nothing was priced",
        ),
        (
            Usage(input_tokens=1, output_tokens=1, extras={"web_searches": -1}),
            "web_searches must be a finite",
        ),
        (Usage(input_tokens=1, output_tokens=1, extras={"web_searches": float("nan")}), "not nan"),
        (Usage(input_tokens=1, output_tokens=1, extras={"web_searches": True}), "not True"),
        (Usage(input_tokens=1, output_tokens=1, extras={"input_tokens": 2}), "the usage says 1"),
    ],
)
def test_counts_that_contradict_each_other_are_refused_with_their_numbers(usage: Usage, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BOOK.cost(usage, "claude-sonnet-4-5")


def test_reasoning_that_exceeds_the_output_is_refused_where_it_has_a_price() -> None:
    usage = Usage(input_tokens=1, output_tokens=10, reasoning_tokens=11)
    with pytest.raises(ConfigurationError, match="output_tokens=10 is less than its parts"):
        BOOK.cost(usage, "sonar-deep-research", "perplexity")
    assert BOOK.cost(usage, "gpt-5").total_usd is not None


def test_a_model_of_another_providers_list_has_no_prices_for_special_requests() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, service_tier="priority")
    assert BOOK.cost(usage, "gpt-4o", "openai").total_usd == Decimal("4.25")
    azure = BOOK.cost(usage, "gpt-4o", "azure")
    assert azure.total_usd == Decimal("2.5")
    assert azure.source.endswith(": openai/gpt-4o for azure")
    assert "no price for service_tier=priority" in azure.notes[0]


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 11, 2, 12)
    usage = Usage(input_tokens=1, output_tokens=1)
    for model in ("gpt-4o", "no-such-model"):
        with pytest.raises(ConfigurationError, match="time zone"):
            BOOK.cost(usage, model, at=naive)
    with pytest.raises(ConfigurationError, match="time zone"):
        PriceBook(clock=lambda: naive).cost(usage, "gpt-5", at=None)


def test_an_unknown_model_costs_none_or_raises_by_choice() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    cost = BOOK.cost(usage, "no-such-model")
    assert (cost.total_usd, cost.source, cost.is_known) == (None, "unknown model", False)
    strict = PriceBook(unknown="raise")
    for lookup in (
        lambda: strict.cost(usage, "no-such-model", "openai"),
        lambda: strict.price("no-such-model", "openai"),
        lambda: strict.resolve("no-such-model", "openai"),
        lambda: strict.ceiling("no-such-model", "openai", None, 1, 1),
    ):
        with pytest.raises(UnknownModelError, match="no-such-model"):
            lookup()
    assert strict.cost(Usage(), "gpt-4o").total_usd is None


@pytest.mark.parametrize("name", ["", "   ", None])
def test_a_missing_name_is_an_unknown_model(name: Any) -> None:
    assert BOOK.cost(Usage(input_tokens=1, output_tokens=1), name).source == "unknown model"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unknown": "zero"}, "'zero'"),
        ({"max_age_days": 0}, "max_age_days"),
        ({"aliases": {"x": 5}}, "aliases"),
        ({"aliases": {"": "gpt-4o"}}, "aliases"),
        ({"discounts": {"opnai": "0.9"}}, "'opnai'"),
        ({"discounts": {"ollama": "0.9"}}, "'ollama'"),
        ({"discounts": {"openai": 0}}, "above 0"),
        ({"discounts": {"openai": "cheap"}}, "'cheap'"),
    ],
)
def test_wrong_settings_are_refused_and_quoted(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PriceBook(**settings)


def test_an_alias_names_the_model_behind_a_deployment() -> None:
    book = PriceBook(
        aliases={"Prod-Chat": "gpt-4o", "quick": "groq:llama-3.3-70b-versatile"}, clock=lambda: NOON
    )
    usage = Usage(input_tokens=1000, output_tokens=500)
    for name, hint in (("prod-chat", None), ("azure/prod-chat", None), ("prod-chat", "azure")):
        cost = book.cost(usage, name, hint)
        assert cost.total_usd == Decimal("0.0075")
        assert f"{name} is an alias of gpt-4o" in cost.notes
    assert book.cost(usage, "prod-chat", "azure").provider == "azure"
    quick = book.cost(usage, "quick", "ollama")
    assert (quick.provider, quick.model) == ("groq", "llama-3.3-70b-versatile")
    assert quick.total_usd == Decimal("0.000985")


def test_an_alias_of_an_unknown_model_stays_unknown() -> None:
    book = PriceBook(aliases={"mine": "no-such-model"})
    assert book.cost(Usage(input_tokens=1, output_tokens=1), "mine").total_usd is None


def test_a_discount_multiplies_the_list_price_and_the_nearer_one_counts() -> None:
    book = PriceBook(
        overrides={"gpt-4.1": {"input": 1, "output": 1}},
        discounts={"openai": "0.85", "anthropic/claude-sonnet-4-5": "0.9", "anthropic": 0.5},
        clock=lambda: NOON,
    )
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert book.cost(usage, "gpt-4o").total_usd == Decimal("2.125")
    assert "times 0.85 as negotiated" in book.cost(usage, "gpt-4o").source
    assert book.cost(usage, "anthropic/claude-sonnet-4-5-20250929").total_usd == Decimal("5.4")
    assert book.cost(usage, "claude-opus-4-5").total_usd == Decimal("2.5")
    assert book.cost(usage, "gpt-4.1", "openai").total_usd == 1
    price = book.price("gpt-4o")
    assert price is not None
    assert price.input_usd_per_mtok == Decimal("2.125")
    assert book.ceiling("gpt-4o", None, None, 1_000_000, 0) == Decimal("2.125")


def test_a_price_shows_rates_by_kind_and_length() -> None:
    price = BOOK.price("claude-sonnet-4-5")
    assert price is not None
    assert price.input_usd_per_mtok == 3
    assert price.output_usd_per_mtok == 15
    assert price.cache_read_usd_per_mtok == Decimal("0.3")
    assert price.cache_write_usd_per_mtok == Decimal("3.75")
    assert price.cache_write_1h_usd_per_mtok == 6
    assert price.usd_per_mtok("input", input_tokens=200_000) == 3
    assert price.usd_per_mtok("input", input_tokens=200_001) == 6
    assert price.usd_per_mtok("reasoning") == 15
    assert price.usd_per_request == 0
    assert (price.provider, price.model) == ("anthropic", "claude-sonnet-4-5")
    with pytest.raises(ConfigurationError, match="'thoughts'"):
        price.usd_per_mtok("thoughts")
    embedding = BOOK.price("text-embedding-3-small")
    assert embedding is not None
    assert embedding.output_usd_per_mtok is None
    sonar = BOOK.price("sonar-pro", "perplexity")
    assert sonar is not None
    assert sonar.usd_per_request == Decimal("0.014")


def test_a_price_depends_on_the_request() -> None:
    batch = BOOK.price("gpt-5", batch=True)
    flex = BOOK.price("gpt-5", service_tier="flex")
    fast = BOOK.price("perplexity/sonar", "perplexity", context={"search_type": "fast"})
    assert batch is not None
    assert flex is not None
    assert fast is not None
    assert batch.input_usd_per_mtok == flex.input_usd_per_mtok == Decimal("0.625")
    assert fast.rates["web_searches"].base == 1


def test_a_cost_reported_by_the_provider_is_taken_over() -> None:
    cost = provider_cost(0.0123, provider="openrouter", model="openai/gpt-4o")
    assert cost.total_usd == Decimal("0.0123")
    assert cost.source == "reported by the provider openrouter"
    assert provider_cost("1").source == "reported by the provider"
    with pytest.raises(ConfigurationError, match="-1"):
        provider_cost(-1)


def test_the_default_book_is_one_and_the_same_and_is_a_pricer() -> None:
    assert default_price_book() is default_price_book()
    assert isinstance(default_price_book(), Pricer)


def test_a_cost_of_the_fast_way_is_like_any_other() -> None:
    cost = BOOK.cost(Usage(input_tokens=1000, output_tokens=500), "gpt-4.1")
    made = Cost(**{item.name: getattr(cost, item.name) for item in fields(Cost)})
    assert (cost, hash(cost), repr(cost)) == (made, hash(made), repr(made))
    assert replace(cost, estimated=True).estimated
    assert not hasattr(Cost, "__post_init__"), "the fast way would go around it"


def test_the_overrides_of_the_guide_are_understood() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "pricing.md").read_text(encoding="utf-8")
    block = guide.split("```toml")[1].split("```")[0]
    book = PriceBook(overrides=tomllib.loads(block), clock=lambda: NOON)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert book.cost(usage, "my-model").total_usd == Decimal("4.001")
    assert book.cost(usage, "openai/gpt-4o").total_usd == 10
    for provider in ("vllm", "hosted_vllm", "VLLMOpenAI"):
        hosted = book.cost(usage, "meta-llama/Llama-3.3-70B-Instruct", provider)
        assert hosted.total_usd == Decimal("0.925925925926") * 2
    elsewhere = book.cost(usage, "meta-llama/Llama-3.3-70B-Instruct", "groq")
    assert elsewhere.total_usd is None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: BOOK.cost(TINY, ["x"]), r"model must be a name, not \['x'\]"),
        (lambda: BOOK.cost(TINY, 5), "model must be a name, not 5"),
        (lambda: BOOK.cost(TINY, "gpt-4o", 5), "provider must be a name, not 5"),
        (lambda: BOOK.cost(TINY, "gpt-4o", ["x"]), r"provider must be a name, not \['x'\]"),
        (lambda: BOOK.cost("x", "gpt-4o"), "usage must be a Usage, not 'x'"),
        (lambda: BOOK.cost(TINY, "gpt-4o", None, "2026"), "must be a datetime, not '2026'"),
        (lambda: BOOK.cost(TINY, "gpt-4o", None, date(2026, 1, 1)), "must be a datetime, not datetime.date"),
        (lambda: BOOK.price(["x"]), r"model must be a name, not \['x'\]"),
        (lambda: BOOK.price("gpt-4o", at=5), "must be a datetime, not 5"),
        (lambda: BOOK.price("gpt-4o", service_tier=5), "service_tier must be a name or None, not 5"),
        (lambda: BOOK.price("gpt-4o", context=5), "context must be a mapping, not 5"),
        (lambda: BOOK.resolve("gpt-4o", 5), "provider must be a name, not 5"),
        (
            lambda: BOOK.ceiling("gpt-4o", None, None, "x", 5),
            "input_tokens must be a whole number .* not 'x'",
        ),
        (lambda: BOOK.ceiling("gpt-4o", None, None, 1, 1.5), "max_output_tokens must .* not 1.5"),
        (lambda: BOOK.ceiling("gpt-4o", None, None, 1, 1, lasting_s="x"), "lasting_s must be .* not 'x'"),
        (lambda: PriceBook(max_age_days="x"), "max_age_days must be above 0, not 'x'"),
        (lambda: PriceBook(unknown=["x"]), r"unknown must be .* not \['x'\]"),
        (lambda: PriceBook(aliases=5), "aliases must map names to names, not 5"),
        (lambda: PriceBook(discounts=5), "discounts must map providers to multipliers, not 5"),
        (lambda: PriceBook(overrides=5), "overrides must be a table or the path of a file, not 5"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused(ask: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ask()


@pytest.mark.parametrize(
    ("model", "provider", "reason"),
    [
        ("a/" * 50_000, None, "no model has a name of 100,000 characters; 512 is the most"),
        ("gpt-4o", "x" * 513, "no provider has a name of 513 characters; 512 is the most"),
    ],
)
def test_a_name_longer_than_any_is_not_read(model: str, provider: str | None, reason: str) -> None:
    cost = BOOK.cost(TINY, model, provider)
    assert (cost.total_usd, cost.source, cost.notes) == (None, "unknown model", (reason,))
    assert BOOK.price(model, provider) is None
    assert BOOK.resolve(model, provider) is None
