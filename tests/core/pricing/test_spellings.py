"""Names as they occur in the wild lead to the right model and price, or to none."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import Usage
from tokenomics_core.pricing import Price, PriceBook, Rate, is_known_provider
from tokenomics_core.pricing._names import other_spellings, read_model_name

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""The day of the prices in the table."""
TABLED_VERSION = "0.2.3"
"""The price data that the table was copied from, by the model's id and not by any name resolution."""


def rows() -> list[dict[str, str]]:
    with (Path(__file__).parent / "spellings.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


KNOWN = [row for row in rows() if row["model"]]
UNKNOWN = [row for row in rows() if not row["model"]]


@pytest.fixture(scope="module")
def plain_book() -> PriceBook:
    return PriceBook(overlay=False)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook()


def test_the_table_is_large_enough() -> None:
    assert len(KNOWN) >= 300
    assert len(UNKNOWN) >= 40
    assert len({(row["spelling"], row["provider_hint"]) for row in rows()}) == len(rows())


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: f"{row['spelling']}-{row['provider_hint']}")
def test_a_spelling_finds_its_model_and_price(
    plain_book: PriceBook, book: PriceBook, row: dict[str, str]
) -> None:
    hint = row["provider_hint"] or None
    resolved = book.resolve(row["spelling"], hint)
    assert resolved is not None
    assert (resolved.provider, resolved.model) == (row["provider"], row["model"])
    price = plain_book.price(row["spelling"], hint, AT)
    assert price is not None
    if version("genai-prices") == TABLED_VERSION:
        expected = (row["input_usd_per_mtok"], row["output_usd_per_mtok"])
        assert (_shown(price.input_usd_per_mtok), _shown(price.output_usd_per_mtok)) == expected
    else:
        assert price.rates == _rates_by_id(row["provider"], row["model"])


def _shown(amount: Decimal | None) -> str:
    return "" if amount is None else format(amount.normalize(), "f")


def _rates_by_id(provider: str, model: str) -> dict[str, Rate]:
    """Look a price up by the model's own id, in the list of its provider or, for Azure, of OpenAI."""
    by_id = {(entry.id, listed.id): listed for entry in get_snapshot().providers for listed in entry.models}
    listed = by_id.get((provider, model)) or by_id["openai", model]
    book = PriceBook(overlay=False)
    price = book.price(listed.id, provider if (provider, model) in by_id else "openai", AT)
    assert price is not None
    return dict(price.rates)


@pytest.mark.parametrize("row", UNKNOWN, ids=lambda row: f"{row['spelling']}-{row['provider_hint']}")
def test_what_cannot_be_known_stays_unknown(book: PriceBook, row: dict[str, str]) -> None:
    assert book.price(row["spelling"], row["provider_hint"] or None, AT) is None


@given(st.text(max_size=80), st.one_of(st.none(), st.text(max_size=20)))
def test_no_name_makes_the_book_fail(name: str, hint: str | None) -> None:
    assert read_model_name(name).full == read_model_name(f" {name} ").full
    assert isinstance(JUNK_BOOK.price(name, hint, AT), Price | None)


JUNK_BOOK = PriceBook()


@given(st.sampled_from([row["spelling"] for row in rows()]))
def test_other_spellings_start_with_the_name_itself_and_repeat_none(name: str) -> None:
    ref = read_model_name(name).rest
    found = list(other_spellings(ref))
    assert found[0] == ref
    assert len(found) == len(set(found))


def test_a_region_that_the_data_does_not_tell_apart_is_remarked(book: PriceBook) -> None:
    resolved = book.resolve("eu.amazon.nova-pro-v1:0")
    assert resolved is not None
    assert "may be higher" in resolved.notes[0]
    nearer = book.resolve("us.amazon.nova-pro-v1:0")
    assert nearer is not None
    assert nearer.notes == ()


def test_a_client_of_another_vendors_interface_is_remarked(book: PriceBook) -> None:
    resolved = book.resolve("deepseek-chat", "ChatOpenAI")
    assert resolved is not None
    assert resolved.notes == ("openai does not list it; the price is that of deepseek",)


@pytest.mark.parametrize(
    ("name", "hint", "reason"),
    [
        ("llama3", "ollama", "overrides"),
        ("gpt-4o", "my-gateway", "does not list this provider"),
        ("gpt-oss-20b", None, "say which provider"),
        ("deepseek/deepseek-chat", None, "differently"),
        ("perplexity/sonar", None, "two models"),
        ("gpt-4o", "groq", "groq does not list"),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/x", None, "alias"),
        ("bedrock/us-east-1/1-month-commitment/amazon.nova-pro-v1:0", None, "committed throughput"),
    ],
)
def test_the_reason_for_an_unknown_price_is_told(
    book: PriceBook, name: str, hint: str | None, reason: str
) -> None:
    cost = book.cost(Usage(input_tokens=1, output_tokens=1), name, hint)
    assert (cost.total_usd, cost.source) == (None, "unknown model")
    assert reason in cost.notes[0]


@pytest.mark.parametrize(
    "name", ["openai", "ChatOpenAI", "google_genai", "amazon_bedrock", "Ollama", "x-ai", "nvidia"]
)
def test_providers_are_known_in_the_frameworks_spellings(name: str) -> None:
    assert is_known_provider(name)


@pytest.mark.parametrize("name", ["fakelistchatmodel", "MyModel", ""])
def test_names_made_up_from_a_class_are_no_providers(name: str) -> None:
    assert not is_known_provider(name)
