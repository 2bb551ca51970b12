"""A user's own prices count, and wrong ones are refused with what was wrong."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError, Usage
from tokenomics_core.pricing import PriceBook, load_litellm, self_hosted_usd_per_mtok

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
TOML = """
[my-model]
input = 0.5
output = 1.5
cache_read = 0.05
requests = 0.001
tiers = [{ above = 200000, input = 1, output = 3 }]

[my-model.batch]
input = 0.25

["meta-llama/Llama-3.3-70B-Instruct"]
provider = "vllm"
gpu_hour_usd = 2.5
gpus = 4
tokens_per_s = 5000
utilization = 0.6

[["gpt-4o"]]
from = 2026-09-01T00:00:00+02:00
input = 1
output = 4

[["gpt-4o"]]
from = 2026-06-01
input = 2
output = 8
"""


def cost(book: PriceBook, model: str, provider: str | None = None, at: datetime = NOON) -> Decimal | None:
    return book.cost(MILLION, model, provider, at).total_usd


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "prices.toml"
    path.write_text(TOML, encoding="utf-8")
    return PriceBook(overrides=path)


def test_a_toml_file_prices_models(book: PriceBook) -> None:
    assert cost(book, "my-model") == Decimal("4.001")
    short = Usage(input_tokens=100_000, output_tokens=0, cache_read_tokens=50_000)
    assert book.cost(short, "MY-MODEL", "openai", NOON).total_usd == Decimal("0.0285")
    assert book.cost(short, "my-model", at=NOON).source == "override: my-model (prices.toml)"
    in_batch = Usage(input_tokens=100_000, output_tokens=0, batch=True)
    assert book.cost(in_batch, "my-model", at=NOON).total_usd == Decimal("0.026")


def test_a_json_file_prices_models(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"m": {"input": 0.1, "output": 0.30000000000000004}}', encoding="utf-8")
    assert cost(PriceBook(overrides=str(path)), "m") == Decimal("0.40000000000000004")


def test_floats_count_as_the_digits_they_are_printed_with() -> None:
    assert cost(PriceBook(overrides={"m": {"input": 0.1, "output": 0.2}}), "m") == Decimal("0.3")


def test_an_override_holds_from_its_day_and_the_list_price_before(book: PriceBook) -> None:
    edge = datetime(2026, 8, 31, 22, tzinfo=UTC)
    assert cost(book, "gpt-4o", at=datetime(2026, 5, 31, 23, 59, tzinfo=UTC)) == Decimal("12.5")
    assert cost(book, "gpt-4o", at=datetime(2026, 6, 1, tzinfo=UTC)) == 10
    assert cost(book, "gpt-4o", at=edge - timedelta(microseconds=1)) == 10
    assert cost(book, "gpt-4o", at=edge.astimezone(timezone(timedelta(hours=9)))) == 5
    dated = book.cost(MILLION, "openai/gpt-4o-2024-08-06", at=NOON)
    assert (dated.total_usd, dated.price_date) == (5, date(2026, 8, 31))


def test_an_override_of_an_unlisted_model_is_unknown_before_its_day() -> None:
    book = PriceBook(overrides={"m": {"input": 1, "output": 1, "from": "2026-06-01"}})
    assert cost(book, "m") == 2
    early = book.cost(MILLION, "m", at=datetime(2026, 5, 1, tzinfo=UTC))
    assert (early.total_usd, early.notes) == (None, ("no price is known for that time",))


def test_hardware_is_turned_into_a_price_per_token(book: PriceBook) -> None:
    # 4 GPUs x $2.5 an hour over 5,000 tokens a second, busy 60% of the time
    expected = (Decimal(10_000_000) / (3600 * 5000 * Decimal("0.6"))).quantize(Decimal("1e-12"))
    for provider in ("vllm", "VLLM", None):
        assert cost(book, "meta-llama/Llama-3.3-70B-Instruct", provider) == 2 * expected
    assert (
        "self-hosted at 2.5 USD per GPU-hour"
        in book.cost(MILLION, "meta-llama/Llama-3.3-70B-Instruct").source
    )
    two = PriceBook(
        overrides={"m": {"gpu_hour_usd": "3.6", "input_tokens_per_s": 10_000, "output_tokens_per_s": 1000}}
    )
    price = two.price("m")
    assert price is not None
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (Decimal("0.1"), 1)


@given(
    st.decimals(Decimal("0.01"), 100, places=2),
    st.integers(1, 10**6),
    st.integers(1, 64),
    st.integers(1, 100),
)
def test_more_speed_or_use_makes_a_token_cheaper_and_more_hardware_dearer(
    hour_usd: Decimal, speed: int, gpus: int, percent: int
) -> None:
    share = Decimal(percent) / 100
    price = self_hosted_usd_per_mtok(hour_usd, Decimal(speed), gpus=Decimal(gpus), utilization=share)
    faster = self_hosted_usd_per_mtok(hour_usd, Decimal(speed * 2), gpus=Decimal(gpus), utilization=share)
    bigger = self_hosted_usd_per_mtok(hour_usd, Decimal(speed), gpus=Decimal(gpus * 2), utilization=share)
    assert faster < price < bigger
    per_hour = price * speed * 3600 * share / 1_000_000
    assert abs(per_hour - hour_usd * gpus) < hour_usd * gpus / 1000 + Decimal("0.00001")


def test_an_override_for_a_provider_holds_only_there() -> None:
    book = PriceBook(overrides={"gpt-4o": {"provider": "AzureOpenAI", "input": 1, "output": 1}})
    assert cost(book, "gpt-4o", "azure") == 2
    assert cost(book, "azure/gpt-4o") == 2
    assert cost(book, "gpt-4o") == Decimal("12.5")
    assert cost(book, "gpt-4o", "openai") == Decimal("12.5")


def test_one_name_may_have_prices_at_several_providers() -> None:
    entries = [
        {"provider": "vllm", "input": 1, "output": 1},
        {"provider": "deepinfra", "input": 2, "output": 2},
    ]
    book = PriceBook(overrides={"llama-9": entries})
    assert cost(book, "llama-9", "ollama") is None
    assert cost(book, "hosted_vllm/llama-9") == 2
    assert cost(book, "llama-9", "vllm") == 2
    assert cost(book, "deepinfra/llama-9") == 4
    assert cost(book, "llama-9", "deepinfra") == 4
    assert cost(book, "llama-9") is None


def test_an_override_makes_a_local_model_known() -> None:
    book = PriceBook(overrides={"qwen2.5:7b": {"input": 0, "output": 0}})
    assert cost(book, "qwen2.5:7b", "ollama") == 0
    assert cost(book, "ollama/qwen2.5:7b") == 0


def test_audio_read_from_the_cache_is_charged_once() -> None:
    book = PriceBook(overrides={"m": {"input": 1, "output": 1, "cache_read": "0.1", "input_audio": 10}})
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=0,
        input_audio_tokens=600_000,
        cache_read_tokens=500_000,
        cache_read_audio_tokens=300_000,
    )
    # 200,000 plain at 1, 200,000 cached text at 0.1, all 600,000 audio at 10: cached audio has no own price
    assert book.cost(usage, "m").total_usd == Decimal("6.22")


def test_a_kind_that_an_override_forgot_makes_the_cost_unknown() -> None:
    book = PriceBook(overrides={"m": {"input": 1}})
    assert book.cost(Usage(input_tokens=1_000_000), "m").total_usd == 1
    assert book.cost(Usage(input_tokens=1_000_000, output_tokens=0), "m").total_usd == 1
    chat = book.cost(MILLION, "m")
    assert (chat.total_usd, chat.notes) == (None, ("1000000 output tokens have no price here",))
    assert book.ceiling("m", None, None, 10, 10) is None


def test_other_units_can_be_priced() -> None:
    book = PriceBook(overrides={"m": {"input": 1, "output": 1, "units": {"web_searches": "0.01"}}})
    usage = Usage(input_tokens=0, output_tokens=0, extras={"web_searches": 3})
    assert book.cost(usage, "m").total_usd == Decimal("0.03")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "has no price"),
        ({"inptu": 1}, "has no inptu; it has"),
        ({"input": -1}, "input must be 0 or more and finite, not -1"),
        ({"input": float("nan")}, "not nan"),
        ({"input": "inf"}, "not 'inf'"),
        ({"input": "cheap"}, "not 'cheap'"),
        ({"input": True}, "not True"),
        ({"input": None, "output": None}, "has no price"),
        ({"cache_read": 1}, "cache_read but none for input"),
        ({"input": 1, "cache_write_1h": 1}, "cache_write_1h but none for cache_write"),
        ({"input": 1, "tiers": "long"}, "tiers must be a list"),
        ({"input": 1, "tiers": [{"input": 2}]}, "'above'"),
        ({"input": 1, "tiers": [{"above": 2.5, "input": 2}]}, "'above'"),
        ({"input": 1, "tiers": [{"above": 200_000, "output": 2}]}, "price for output"),
        ({"input": 1, "from": "yesterday"}, "not 'yesterday'"),
        ({"input": 1, "from": datetime(2026, 1, 1)}, "time zone"),
        ({"input": 1, "from": 2026}, "not 2026"),
        ({"input": 1, "provider": 5}, "provider must be a name"),
        ({"input": 1, "batch": 0.5}, "batch must be a table"),
        ({"input": 1, "batch": {"discount": 1}}, "batch has no discount"),
        ({"input": 1, "units": {"moonbeams": 1}}, "'moonbeams'"),
        ({"input": 1, "units": 5}, "units must be a table"),
        ({"gpu_hour_usd": 2}, "needs tokens_per_s"),
        ({"tokens_per_s": 2}, "needs gpu_hour_usd"),
        ({"gpu_hour_usd": 2, "tokens_per_s": 5, "input": 1}, "one or the other"),
        ({"gpu_hour_usd": 2, "tokens_per_s": 0}, "above 0"),
        ({"gpu_hour_usd": 2, "tokens_per_s": 5, "utilization": "1.5"}, "at most 1"),
        (
            {"gpu_hour_usd": 2, "tokens_per_s": 5, "input_tokens_per_s": 3, "output_tokens_per_s": 3},
            "or input",
        ),
        ("0.5", "must be a table of prices"),
        ([], "is empty"),
    ],
)
def test_a_wrong_override_is_refused_and_named(entry: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match="my-model") as refused:
        PriceBook(overrides={"my-model": entry})
    assert message in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for name, text in (("a.toml", "= 5"), ("b.json", "{"), ("c.json", "[1]"), ("d.yaml", "x: 1")):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match=name):
            PriceBook(overrides=path)
    with pytest.raises(ConfigurationError, match="absent"):
        PriceBook(overrides=tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match="named after a model"):
        PriceBook(overrides={" ": {"input": 1}})


LITELLM: dict[str, Any] = {
    "sample_spec": {"input_cost_per_token": 0.0},
    "acme/swift": {
        "litellm_provider": "acme",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "input_cost_per_token_batches": 1.5e-06,
        "output_cost_per_token_batches": 7.5e-06,
        "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    },
    "azure/swift": {
        "litellm_provider": "azure", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06
    },
    "acme/free-writes": {
        "litellm_provider": "acme",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "cache_creation_input_token_cost": 0.0,
    },
    "acme/nothing": {"litellm_provider": "acme", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "acme/steps": {"litellm_provider": "acme", "tiered_pricing": [], "input_cost_per_token": 1e-06},
    "acme/ears": {"litellm_provider": "acme", "input_cost_per_second": 0.0001},
}  # fmt: skip


def test_litellms_cost_map_becomes_overrides(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(LITELLM), encoding="utf-8")
    overrides = load_litellm(path)
    assert set(overrides) == {"acme/swift", "swift", "acme/ears", "acme/free-writes"}
    book = PriceBook(overrides=overrides)
    usage = Usage(
        input_tokens=100_000,
        output_tokens=1000,
        cache_read_tokens=50_000,
        cache_write_5m_tokens=10_000,
        cache_write_1h_tokens=10_000,
        extras={"web_searches": 1},
    )
    # 30,000 x 3 + 50,000 x 0.3 + 10,000 x 3.75 + 10,000 x 6 + 1,000 x 15, in millionths, and a search
    assert book.cost(usage, "acme/swift", "acme").total_usd == Decimal("0.2275")
    assert cost(book, "acme/swift") == Decimal("28.5")
    batch = Usage(input_tokens=1000, output_tokens=0, batch=True)
    assert book.cost(batch, "acme/swift", "acme").total_usd == Decimal("0.0015")
    assert cost(book, "azure/swift") == 3
    assert cost(book, "swift", "AzureChatOpenAI") == 3
    assert book.cost(Usage(extras={"audio_seconds": 90}), "acme/ears").total_usd == Decimal("0.009")
    written = Usage(input_tokens=1_000_000, output_tokens=0, cache_write_tokens=1_000_000)
    assert book.cost(written, "acme/free-writes").total_usd == 1
    assert cost(book, "acme/nothing", "acme") is None
    assert cost(book, "acme/steps", "acme") is None


def test_a_file_that_is_no_cost_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no cost map"):
        load_litellm(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_litellm(tmp_path / "absent.json")
