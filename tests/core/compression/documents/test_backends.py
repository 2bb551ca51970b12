"""A model that judges passages is paid for and writes nothing; rules shorten only what they name."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import compress
from tokenomics_core.compression.scorers import LLMReply, LLMScorer
from tokenomics_core.compression.shrinking import RULES, shrink_text
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.types import Usage

DOCUMENTS = [
    "The pool opens at seven. Towels are free for members. The sauna is closed in July.",
    "A locker takes a coin of two euros. The desk changes money. Dogs stay outside.",
]


def test_what_the_model_names_is_kept_word_for_word():
    prompts = []

    def ask(prompt):
        prompts.append(prompt)
        wanted = re.search(r"\[(\d+)\][^\[]*Dogs stay outside", prompt)
        return f"{wanted[1]}, I am sure" if wanted else "none"

    result = compress(DOCUMENTS, "What about my poodle?", ratio=0.25, scorer=LLMScorer(ask), share_judged=1.0)
    assert "Dogs stay outside." in result.text
    assert len(prompts) == 1


def test_every_call_is_counted_and_priced():
    reply = LLMReply(text="1", usage=Usage(input_tokens=1000, output_tokens=10))
    scorer = LLMScorer(lambda prompt: reply, model="gpt-4.1-nano", prices=PriceBook(), at_once=2)
    scorer.score("q", ["a", "b", "c"])
    assert scorer.spending.calls == 2
    assert scorer.spending.cost_usd == 2 * PriceBook().cost(reply.usage, "gpt-4.1-nano").total_usd
    unpriced = LLMScorer(lambda prompt: "1")
    unpriced.score("q", ["a"])
    assert (unpriced.spending.cost_usd, unpriced.spending.unpriced) == (Decimal(0), 1)


@given(st.text(max_size=60))
def test_whatever_the_model_says_scores_are_in_range(said):
    scores = LLMScorer(lambda prompt: said).score("q", ["a", "b", "c"])
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)


def test_a_question_with_a_field_in_it_stays_as_it_is():
    prompts = []
    LLMScorer(lambda prompt: prompts.append(prompt) or "none").score("what is {passages}?", ["a"])
    assert "what is {passages}?" in prompts[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ask": 3}, "ask must be callable"),
        ({"prices": PriceBook()}, "no model"),
        ({"at_once": 0}, "at_once must be 1"),
    ],
)
def test_a_scorer_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        LLMScorer(**{"ask": str} | arguments)


@given(
    st.lists(
        st.sampled_from(
            ["the", "not", "a", "never", "3.5", "no", "really", "\n\n\n", "cat", '"the a"', "`a  b`"]
        )
    ).map(" ".join),
    st.lists(st.sampled_from(RULES), min_size=1, unique=True),
)
def test_numbers_negations_quotations_and_code_stay(text, rules):
    shrunk = shrink_text(text, rules, count=len)
    for kept in (r"\bnot\b", r"\bnever\b", r"\bno\b", r"3\.5", '"the a"', "`a  b`"):
        assert len(re.findall(kept, shrunk.text)) == len(re.findall(kept, text))
    assert shrunk.tokens_after == len(shrunk.text) <= len(text)


def test_each_rule_does_what_it_says():
    text = "The pool  is really open.\n\n\n\nAll rights reserved.\nSee [3]."
    assert (
        shrink_text(text, ["whitespace"], count=len).text
        == "The pool is really open.\n\nAll rights reserved.\nSee [3]."
    )
    assert "rights" not in shrink_text(text, ["boilerplate"], count=len).text
    assert "really" not in shrink_text(text, ["fillers"], count=len).text
    assert shrink_text(text, ["articles"], count=len).text.startswith("pool")
    assert shrink_text(text, ["articles"], count=len).removed == {"articles": 1}


@pytest.mark.parametrize("rules", [[], ["vowels"], "vowels"])
def test_unknown_rules_are_refused(rules):
    with pytest.raises(ConfigurationError, match="nothing was shortened"):
        shrink_text("text", rules)


def test_what_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="must be text"):
        shrink_text(None, ["articles"])
