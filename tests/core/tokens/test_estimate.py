"""Without a vocabulary the estimate is near o200k in every script, and rather above it."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fit_token_estimate import SENTENCES as FITTED_ON
from benchmarks.fit_token_estimate import fitted_rates
from tests.core.tokens.sentences import SENTENCES
from tokenomics_core.tokens import estimate_tokens
from tokenomics_core.tokens._estimate import RATES, script_shares

LATIN = {"English", "German", "Turkish", "Vietnamese"}
OTHER_SCRIPTS = sorted(set(SENTENCES) - LATIN)


def error(encodings, texts) -> float:
    exact = sum(len(encodings["o200k_base"].encode_ordinary(text)) for text in texts)
    return sum(map(estimate_tokens, texts)) / exact - 1


def test_ten_languages_of_other_scripts_are_tested_on_sentences_that_nothing_was_fitted_on():
    assert len(OTHER_SCRIPTS) == 10
    assert all(len(sentences) >= 8 for sentences in SENTENCES.values())
    assert not {line for lines in SENTENCES.values() for line in lines} & {
        line for lines in FITTED_ON.values() for line in lines
    }


@pytest.mark.parametrize("language", OTHER_SCRIPTS)
def test_other_scripts_than_latin_are_within_15_percent_and_not_below(encodings, language):
    assert 0 <= error(encodings, SENTENCES[language]) <= 0.15
    assert 0 <= error(encodings, [" ".join(SENTENCES[language])]) <= 0.15


@pytest.mark.parametrize("language", sorted(LATIN))
def test_latin_scripts_are_estimated_high_but_not_wildly(encodings, language):
    assert 0 <= error(encodings, SENTENCES[language]) <= 0.20
    assert 0 <= error(encodings, [" ".join(SENTENCES[language])]) <= 0.20


@pytest.mark.parametrize(
    "text",
    [
        inspect.getsource(json.decoder),
        inspect.getsource(inspect),
        json.dumps([{"id": n, "name": f"item {n}", "price": n / 4} for n in range(300)], indent=2),
        "| name | value |\n|---|---|\n" + "| alpha | 3.14 |\n" * 50,
        "https://example.org/a/path/to/some/page.html?id=12345&lang=en#top\n" * 20,
        "".join(chr(ord("a") + n * 7919 % 26) for n in range(5000)),
    ],
    ids=["code", "more code", "json", "table", "addresses", "random letters"],
)
def test_text_for_machines_is_estimated_high(encodings, text):
    assert -0.02 <= error(encodings, [text]) <= 0.60


def test_the_rates_in_the_code_are_those_that_the_fitting_script_prints(vocabulary_folder):
    fitted = fitted_rates()
    assert {name: RATES[name] for name in fitted} == fitted


@settings(deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_has_an_estimate_of_at_most_three_tokens_a_character(text):
    estimate = estimate_tokens(text)
    assert 0 <= estimate <= 3 * len(text) + 1
    assert (estimate == 0) == (text == "")


@settings(deadline=None)
@given(first=st.text(max_size=100), second=st.text(max_size=100))
def test_two_texts_side_by_side_cost_about_what_each_costs(first, second):
    together = estimate_tokens(f"{first} {second}")
    assert together <= 1.6 * (estimate_tokens(first) + estimate_tokens(second)) + 4


@pytest.mark.parametrize(
    ("text", "other", "indic"),
    [
        ("plain ascii", 0, 0),
        ("schöne Grüße", 0, 0),
        ("добрый день", 1, 0),
        ("नमस्ते", 1, 1),
        ("நன்றி", 1, 1),
        ("12 + 3", 0, 0),
        ("", 0, 0),
    ],
)
def test_shares_tell_the_scripts_apart(text, other, indic):
    assert script_shares(text) == pytest.approx((other, indic))


def test_a_mixed_text_has_shares_in_between():
    other, indic = script_shares("half of this is English, और बाकी आधा हिंदी में है")
    assert 0.3 < other < 0.8
    assert indic == pytest.approx(other)


def test_russian_is_told_from_its_dearer_neighbours():
    russian, ukrainian = "мы были там", "ми були там"
    assert estimate_tokens(russian * 20) < estimate_tokens(ukrainian * 20)
