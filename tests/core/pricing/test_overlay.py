"""Our corrections hold from their day, at their hours, and never before."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from genai_prices.types import ClauseStartsWith, ModelInfo, ModelPrice, Provider
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import Usage
from tokenomics_core.pricing import PriceBook, Rate
from tokenomics_core.pricing._calendar import Window
from tokenomics_core.pricing._catalog import Catalog, Found
from tokenomics_core.pricing._genai import PriceData
from tokenomics_core.pricing._names import read_model_name
from tokenomics_core.pricing._schedule import BatchRule, Offer, Schedule, Variant

BOOK = PriceBook()
PLAIN = PriceBook(overlay=False)
MILLION_IN = Usage(input_tokens=1_000_000, output_tokens=0)
MILLION_OUT = Usage(input_tokens=0, output_tokens=1_000_000)
CACHED = Usage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=1_000_000)


def rates(model: str, at: str, provider: str = "deepseek") -> tuple[str, str, str]:
    moment = datetime.fromisoformat(at)
    costs = (BOOK.cost(usage, model, provider, moment) for usage in (MILLION_IN, MILLION_OUT, CACHED))
    return tuple(f"{cost.total_usd.normalize():f}" for cost in costs if cost.total_usd is not None)  # type: ignore[return-value]  # three by construction


OFF_PEAK, PEAK = ("0.66", "1.98", "0.022"), ("1.32", "3.96", "0.044")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-08-16T15:59:59+00:00", ("0.435", "0.87", "0.003625")),
        ("2026-08-16T02:00:00+00:00", ("0.435", "0.87", "0.003625")),
        ("2026-08-16T16:00:00+00:00", OFF_PEAK),
        ("2026-08-22T02:00:00+00:00", PEAK),  # a Saturday before weekends were off-peak
        ("2026-08-23T02:00:00+00:00", OFF_PEAK),
        ("2026-11-20T00:59:59.999999+00:00", OFF_PEAK),  # a Friday
        ("2026-11-20T01:00:00+00:00", PEAK),
        ("2026-11-20T09:00:00+08:00", PEAK),
        ("2026-11-20T03:59:59.999999+00:00", PEAK),
        ("2026-11-20T04:00:00+00:00", OFF_PEAK),
        ("2026-11-20T06:00:00+00:00", PEAK),
        ("2026-11-20T10:00:00+00:00", OFF_PEAK),
        ("2026-11-21T02:00:00+00:00", OFF_PEAK),
        ("2026-11-22T07:00:00+00:00", OFF_PEAK),
        ("2026-10-01T07:00:00+00:00", OFF_PEAK),  # a Thursday and a public holiday
        ("2026-10-08T07:00:00+00:00", PEAK),
    ],
)
def test_deepseek_v4_pro_is_dear_at_weekday_peak_hours_only(at: str, expected: tuple[str, ...]) -> None:
    assert rates("deepseek-v4-pro", at) == expected


@pytest.mark.parametrize(
    ("model", "at", "expected"),
    [
        ("deepseek-chat", "2025-06-01T12:00:00+00:00", ("0.27", "1.1", "0.07")),
        ("deepseek-chat", "2025-06-01T20:00:00+00:00", ("0.135", "0.55", "0.035")),
        ("deepseek-reasoner", "2025-06-01T12:00:00+00:00", ("0.55", "2.19", "0.14")),
        ("deepseek-reasoner", "2025-09-05T16:00:00+00:00", ("0.56", "1.68", "0.07")),
        ("deepseek-chat", "2025-09-10T20:00:00+00:00", ("0.56", "1.68", "0.07")),
        ("deepseek-chat", "2025-12-24T20:00:00+00:00", ("0.28", "0.42", "0.028")),
        ("deepseek-chat", "2026-05-01T02:00:00+00:00", ("0.14", "0.28", "0.0028")),
        ("deepseek-v4-flash", "2026-05-01T02:00:00+00:00", ("0.14", "0.28", "0.0028")),
        ("deepseek-v4-flash", "2026-08-18T02:00:00+00:00", ("0.44", "1.32", "0.014")),
        ("deepseek-v4-flash", "2026-08-18T05:00:00+00:00", ("0.22", "0.66", "0.007")),
        ("deepseek-v4-flash", "2026-11-20T02:00:00+00:00", ("0.3", "1.2", "0.006")),
        ("deepseek-flash", "2026-11-20T02:00:00+00:00", ("0.3", "1.2", "0.006")),
        ("deepseek-flash", "2026-11-21T02:00:00+00:00", ("0.15", "0.6", "0.003")),
        ("deepseek-reasoner", "2026-11-20T02:00:00+00:00", ("0.3", "1.2", "0.006")),
    ],
)
def test_deepseek_prices_follow_their_history(model: str, at: str, expected: tuple[str, ...]) -> None:
    assert rates(model, at) == expected


def test_a_name_past_its_end_says_what_it_was_priced_as() -> None:
    after = BOOK.cost(MILLION_IN, "deepseek-chat", at=datetime(2026, 7, 25, tzinfo=UTC))
    before = BOOK.cost(MILLION_IN, "deepseek-chat", at=datetime(2026, 7, 20, tzinfo=UTC))
    assert "2026-07-24" in after.notes[0]
    assert before.notes == ()


def test_the_source_names_the_overlay_its_day_and_its_reference() -> None:
    cost = BOOK.cost(MILLION_IN, "deepseek-v4-pro", at=datetime(2026, 11, 20, 2, tzinfo=UTC))
    assert cost.source.startswith("overlay: deepseek/deepseek-v4-pro, from 2026-08-22 at 01:00-04:00 and")
    assert "https://api-docs.deepseek.com/quick_start/pricing checked 2026-" in cost.source
    assert cost.price_date == date(2026, 8, 22)


def test_audio_of_the_preview_model_has_its_own_price() -> None:
    usage = Usage(input_tokens=1000, output_tokens=500, input_audio_tokens=800, output_audio_tokens=400)
    cost = BOOK.cost(usage, "gpt-4o-audio-preview", at=datetime(2026, 11, 1, tzinfo=UTC))
    # 200 x 2.5 + 800 x 40 + 100 x 10 + 400 x 80, in millionths
    assert cost.total_usd == Decimal("0.0655")
    assert "overlay: openai/gpt-4o-audio-preview, from 2025-06-03" in cost.source
    assert PLAIN.cost(
        usage, "gpt-4o-audio-preview", at=datetime(2026, 11, 1, tzinfo=UTC)
    ).total_usd == Decimal("0.0075")


@pytest.mark.parametrize(
    ("model", "at", "usd", "remark"),
    [
        ("gpt-4o", "2026-10-13T23:59:59+00:00", "1.25", None),
        ("gpt-4o", "2026-10-14T00:00:00+00:00", "1.25", None),
        ("gpt-4o", "2024-04-14T00:00:00+00:00", "2.5", "processing=batch"),
        ("claude-sonnet-4-6", "2026-02-01T00:00:00+00:00", "3", None),  # 300,000 tokens at half of $6
        ("claude-sonnet-4-5", "2024-10-07T00:00:00+00:00", "6", "processing=batch"),
        ("gemini-2.5-pro", "2025-08-01T00:00:00+00:00", "1.25", None),
        ("deepseek-flash", "2026-11-01T00:00:00+00:00", "0.15", "processing=batch"),
    ],
)
def test_batches_had_their_discount_before_it_was_in_the_data(
    model: str, at: str, usd: str, remark: str | None
) -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=0, batch=True)
    cost = BOOK.cost(usage, model, at=datetime.fromisoformat(at))
    assert cost.total_usd == Decimal(usd)
    assert [remark in note for note in cost.notes] == ([] if remark is None else [True])


def test_cached_tokens_in_a_batch_are_only_cheaper_where_that_was_published() -> None:
    at = datetime(2026, 9, 1, tzinfo=UTC)
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cache_read_tokens=1_000_000, batch=True)
    assert BOOK.cost(usage, "gpt-4o", at=at).total_usd == Decimal("1.25")  # as without a batch
    assert BOOK.cost(usage, "gpt-5", at=at).total_usd == Decimal("0.0625")  # half
    assert BOOK.cost(usage, "gpt-5.4", at=at).total_usd == Decimal("0.25")  # of more than 272,000 tokens
    short = Usage(input_tokens=100_000, output_tokens=0, cache_read_tokens=100_000, batch=True)
    assert BOOK.cost(short, "gpt-5.4", at=at).total_usd == Decimal("0.013")  # as published, not half of 0.25


def test_an_early_batch_is_half_of_a_standard_price_that_has_changed_since() -> None:
    changed, published = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 14, tzinfo=UTC)
    batch = Variant({"processing": "batch"}, Window(start=published), sheet("1", "2", "0.5"))
    offers = [
        Offer(sheet("4", "8", "1"), "old", variants=(batch,)),
        Offer(sheet("2", "4", "0.5"), "new", Window(start=changed), variants=(batch,)),
    ]
    rule = BatchRule(Window(start=datetime(2025, 1, 1, tzinfo=UTC)), Decimal("0.5"), "rule")
    schedule = Schedule("m", "p", offers, fallback=True, batch_rule=rule)
    usage = Usage(input_tokens=2_000_000, output_tokens=1_000_000, cache_read_tokens=1_000_000, batch=True)
    totals = []
    for day in (datetime(2024, 12, 31), datetime(2025, 6, 1), datetime(2026, 9, 1), datetime(2026, 10, 14)):
        table = schedule.table(usage, day.replace(tzinfo=UTC))
        assert table is not None
        totals.append(table.cost(usage).total_usd)
    # cached tokens keep their price in a batch; the rest halves from 4 and 8, later from 2 and 4
    assert totals == [13, 7, Decimal("3.5"), Decimal("3.5")]


def sheet(*prices: str) -> dict[str, Rate]:
    keys = ("input_tokens", "output_tokens", "cache_read_tokens")
    return {key: Rate(Decimal(price)) for key, price in zip(keys, prices, strict=True)}


def test_prices_of_a_span_are_not_kept_past_it() -> None:
    book = PriceBook()
    hours = [
        ("2026-11-20T02:00:00+00:00", "1.32"),
        ("2026-11-20T05:00:00+00:00", "0.66"),
        ("2026-11-20T23:00:00+00:00", "0.66"),
        ("2026-11-21T02:00:00+00:00", "0.66"),
        ("2026-11-22T23:59:59+00:00", "0.66"),
        ("2026-11-23T02:00:00+00:00", "1.32"),
        ("2026-05-23T02:00:00+00:00", "0.435"),
    ]
    for at, usd in [*hours, *reversed(hours)]:
        assert book.cost(MILLION_IN, "deepseek-v4-pro", at=datetime.fromisoformat(at)).total_usd == Decimal(
            usd
        )


def test_a_window_is_open_from_its_start_until_before_its_end() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    window, tick = Window(start=start, end=end), timedelta(microseconds=1)
    moments = (start - tick, start, end - tick, end)
    assert [window.is_open(moment) for moment in moments] == [False, True, True, False]
    night = Window(daily=((time(22), time(6)),))
    hours = (time(21, 59), time(22), time(5, 59), time(6))
    opened = [night.is_open(datetime.combine(date(2026, 1, 1), hour, UTC)) for hour in hours]
    assert opened == [False, True, True, False]


@given(st.datetimes(datetime(2024, 11, 1), datetime(2026, 10, 13)))
def test_an_early_batch_never_costs_more_than_the_call_and_never_less_than_half(at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    for model in ("gpt-4.1", "claude-haiku-4-5", "gpt-5.4", "claude-sonnet-4-5"):
        counts = {"input_tokens": 9000, "cache_read_tokens": 5000, "output_tokens": 700}
        plain = BOOK.cost(Usage(**counts), model, at=moment).total_usd
        batch = BOOK.cost(Usage(**counts, batch=True), model, at=moment).total_usd
        assert plain is not None
        assert batch is not None
        assert plain / 2 <= batch < plain


def test_a_model_that_the_data_lists_without_any_price_is_unknown_and_not_free() -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    assert PLAIN.cost(usage, "qwen-3-coder-480b", "cerebras").total_usd == 0
    cost = BOOK.cost(usage, "qwen-3-coder-480b", "cerebras")
    assert (cost.total_usd, cost.source) == (None, "unknown model")
    assert "without a price" in cost.notes[0]


def test_a_model_that_is_free_costs_nothing_and_says_so() -> None:
    cost = BOOK.cost(Usage(input_tokens=1, output_tokens=1), "mistral-nemo:free", "mistral")
    assert cost.total_usd == 0
    assert cost.notes == ("the price data charges nothing for this model",)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("ft:gpt-4.1-2025-04-14", ("3", "12", "0.75")),
        ("ft:gpt-4.1-mini-2025-04-14", ("0.8", "3.2", "0.2")),
        ("ft:gpt-4.1-nano-2025-04-14", ("0.2", "0.8", "0.05")),
        ("ft:o4-mini-2025-04-16", ("4", "16", "1")),
        ("ft:davinci-002", ("12", "12", "12")),
        ("ft:babbage-002", ("1.6", "1.6", "1.6")),
        ("ft:gpt-4o-2024-08-06", ("3.75", "15", "1.875")),
        ("ft:gpt-4o-mini-2024-07-18", ("0.3", "1.2", "0.15")),
    ],
)
@pytest.mark.parametrize("spelling", ["{}:acme::x", "{}:acme:name:id", "openai/{}:acme::x", "{}"])
def test_a_fine_tuned_model_has_its_own_price(model: str, expected: tuple[str, ...], spelling: str) -> None:
    assert rates(spelling.format(model), "2026-11-20T00:00:00+00:00", "openai") == expected
    assert "overlay: openai/ft:" in BOOK.cost(MILLION_IN, spelling.format(model)).source


@pytest.mark.parametrize(
    "name", ["ft:gpt-4.1-2025-04-15:acme::x", "ft:gpt-4.1:acme::x", "ft:gpt-4.1-micro-2025-04-14:a::b"]
)
def test_another_fine_tuned_model_stays_unknown(name: str) -> None:
    assert BOOK.price(name) is None


def test_a_batch_of_a_fine_tuned_model_is_half_of_it_where_that_is_known() -> None:
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, batch=True)
    assert BOOK.cost(usage, "ft:gpt-4.1-2025-04-14:acme::x").total_usd == Decimal("7.5")
    unknown = BOOK.cost(usage, "ft:babbage-002:acme::x")
    assert unknown.total_usd == Decimal("3.2")
    assert unknown.notes == ("no price for processing=batch at that time; the standard price was used",)


def test_prices_of_the_data_go_before_those_of_a_new_model_under_any_pattern() -> None:
    listed = ModelInfo(
        "ft:gpt-4.1-", ClauseStartsWith("ft:gpt-4.1-2025-"), prices=ModelPrice(input_mtok=Decimal(9))
    )
    provider = Provider("openai", "OpenAI", "https://api.openai.com", models=[listed])
    catalog = Catalog(PriceData([provider], "test"), {"openai": ["ft:gpt-4.1-2025-04-14"]})
    found = catalog.find(read_model_name("ft:gpt-4.1-2025-04-14:acme::x"), None)
    assert isinstance(found, Found)
    assert found.model is listed


def entries() -> list[dict[str, Any]]:
    text = files("tokenomics_core.pricing").joinpath("data", "overlay.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return [entry for kind in ("price", "batch", "unpriced") for entry in table[kind]]


def test_every_entry_names_its_source_and_the_day_it_was_checked() -> None:
    assert len(entries()) > 20
    for entry in entries():
        assert entry["source"].startswith("https://")
        assert isinstance(entry["checked"], date)
        assert entry["checked"] >= date(2026, 11, 1)


def test_every_entry_belongs_to_a_model_that_the_data_lists_or_that_is_new_and_is_used() -> None:
    for entry in entries():
        for model in entry.get("models", ()):
            resolved = (BOOK if entry.get("new") else PLAIN).resolve(model, entry["provider"])
            assert entry.get("new") is not True or PLAIN.resolve(model, entry["provider"]) is None
            assert resolved is not None
            assert (resolved.provider, resolved.model) == (entry["provider"], model)


def test_peak_hours_lie_on_the_same_weekday_in_beijing_and_in_utc() -> None:
    for entry in entries():
        for span in entry.get("daily", ()) if entry.get("weekdays") else ():
            for edge in span.split("-"):
                at = datetime.fromisoformat(f"2026-11-20T{edge}+00:00") - timedelta(microseconds=1)
                assert (at + timedelta(hours=8)).weekday() == at.weekday()
