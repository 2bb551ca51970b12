"""Amounts and counts are short, and never further from the truth than they look."""

# ruff: noqa: RUF001 - the dash and the minus sign are what is drawn

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.rendering import format_count, format_percent, format_usd, shorten

amounts = st.decimals(min_value=Decimal("1e-12"), max_value=10**12, allow_nan=False, allow_infinity=False)


def _read(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", "").replace("−", "-"))


@settings(deadline=None)
@given(amounts)
def test_a_written_amount_is_within_half_of_its_last_digit(amount):
    text = format_usd(amount)
    half_a_digit = Decimal(1).scaleb(-len(text.partition(".")[2])) / 2
    assert abs(_read(text) - amount) <= half_a_digit
    assert abs(_read(text) - amount) <= amount * Decimal("0.005")


@settings(deadline=None)
@given(amounts)
def test_a_debt_reads_as_the_amount_with_a_sign(amount):
    assert format_usd(-amount) == f"−{format_usd(amount)}"


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**14), st.integers(min_value=0, max_value=2))
def test_an_amount_in_cents_or_dollars_is_written_exactly(cents, places):
    amount = Decimal(cents).scaleb(-places)
    assert cents == 0 or _read(format_usd(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unpriced"),
        ("0", "$0"),
        ("0.00", "$0"),
        ("0.000042", "$0.000042"),
        ("0.0000004567", "$0.000000457"),
        ("0.0012", "$0.0012"),
        ("0.00120034", "$0.00120"),
        ("0.0099999", "$0.01000"),
        ("0.0123", "$0.0123"),
        ("0.01234567", "$0.0123"),
        ("0.16903", "$0.1690"),
        ("0.5", "$0.50"),
        ("0.999999", "$1.0000"),
        ("1", "$1.00"),
        ("12.3449", "$12.34"),
        ("999.999", "$1,000.00"),
        ("1234.56", "$1,234.56"),
        ("1E+3", "$1,000.00"),
        ("1e-12", "$0.000000000001"),
        ("1e-13", "<$0.000000000001"),
        ("-0.25", "−$0.25"),
        ("Infinity", "Infinity"),
    ],
)
def test_an_amount_shows_the_digits_that_matter(amount, text):
    assert format_usd(None if amount is None else Decimal(amount)) == text


def test_an_amount_does_not_depend_on_the_precision_that_a_caller_has_set():
    with localcontext(prec=2):
        assert format_usd(Decimal("1234567.89")) == "$1,234,567.89"


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**15))
def test_a_short_count_is_within_half_a_per_cent(count):
    text = format_count(count, compact=True)
    units = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
    value = Decimal(text.rstrip("kMBT").replace(",", "")) * units.get(text[-1], 1)
    assert abs(value - count) <= Decimal(count) * Decimal("0.005")
    assert len(text) <= 5


@pytest.mark.parametrize(
    ("count", "full", "short"),
    [
        (None, "–", "–"),
        (0, "0", "0"),
        (9999, "9,999", "9,999"),
        (12345, "12,345", "12.3k"),
        (999_999, "999,999", "1M"),
        (1_234_567, "1,234,567", "1.23M"),
        (25_000_000_000, "25,000,000,000", "25B"),
        (-12345, "−12,345", "−12.3k"),
    ],
)
def test_a_count_has_separators_or_a_unit(count, full, short):
    assert (format_count(count), format_count(count, compact=True)) == (full, short)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0%"),
        (0.0004, "<0.1%"),
        (0.021, "2.1%"),
        (0.02, "2%"),
        (0.0996, "10%"),
        (0.123, "12%"),
        (1.0, "100%"),
        (-0.05, "−5%"),
    ],
)
def test_a_share_is_written_in_per_cent(share, text):
    assert format_percent(share) == text


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="…")), st.integers(min_value=0, max_value=60))
def test_a_shortened_name_keeps_both_ends(name, width):
    short = shorten(name, width)
    if short != name:
        head, _, tail = short.partition("…")
        assert name.startswith(head)
        assert name.endswith(tail)


def test_a_name_is_cut_in_its_middle_where_models_differ_least():
    assert shorten("us.anthropic.claude-haiku-4-5-20251001-v1:0", 24) == "us.anthropic…251001-v1:0"
    assert shorten("gpt-4o", 6) == "gpt-4o"


def test_wide_characters_count_as_two_columns():
    assert shorten("模型评估测试", 7) == "模…试" or len(shorten("模型评估测试", 7)) <= 5
