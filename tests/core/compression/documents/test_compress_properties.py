"""Whatever is compressed: kept text is word for word, in order, within budget, and whole where it must be."""

# ruff: noqa: RUF001 - letters of other scripts are meant

import copy
import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenomics_core.compression import Document, compress
from tokenomics_core.compression._split import sentence_spans
from tokenomics_core.compression._units import layout_of
from tokenomics_core.tokens import count_tokens

SENTENCES = (
    "The harbour was closed on 3 May 1921.",
    "It never opened again.",
    "This was not what Dr. Smith of the U.S. Navy wanted!",
    "Costs rose by 3.5 percent, i.e. 40,000 dollars [3].",
    "Who paid for the harbour?",
    "Der Hafen wurde am 3. Mai 1921 nicht geschlossen.",
    "港口于1921年关闭。它再也没有开放。",
    "Порт закрыли в 1921 г. без предупреждения.",
    "أغلق الميناء في عام 1921؟ لم يفتح بعد ذلك.",
)
FENCES = (
    "```python\nx = 1\n\nprint('a. B')\n```",
    "~~~\n# no heading\n- no item\n~~~",
    "````\n```\ninner\n```\n````",
)
BLOCKS = (
    "# Harbour",
    "## Costs of it",
    "Title under a line\n=====",
    "The steps are:\n- close the harbour\n- pay 40 dollars. At once.\n  with care",
    "1. first harbour\n2. second one",
    "| year | cost |\n|---|---|\n| 1921 | 40 |\n| 1922 | not known |",
    "a line that is wrapped and goes on for more than sixty characters in all\nuntil here. Then ends.",
)
prose = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6).map(" ".join)
markdown = st.lists(
    st.one_of(prose, st.sampled_from(BLOCKS), st.sampled_from(FENCES)), min_size=1, max_size=8
).map("\n\n".join)
tight = st.lists(st.one_of(prose, st.sampled_from(BLOCKS)), min_size=1, max_size=6).map("\n".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
records = st.builds(
    lambda rows, indent: json.dumps({"status": "ok", "rows": rows}, indent=indent, ensure_ascii=False),
    st.lists(values, min_size=2, max_size=12),
    st.sampled_from([None, 1, 4]),
)
texts = st.one_of(prose, markdown, tight, records, st.text(max_size=200))
queries = st.sampled_from(
    ["When was the harbour closed?", "cost 1922", "wann wurde der Hafen geschlossen", "港口", ""]
)
MARKER = " ⟦…⟧ "


def pieces_in_order(text, pieces):
    at = 0
    for piece in pieces:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def is_part(some, whole):
    if isinstance(whole, dict) and isinstance(some, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in some.items())
    if isinstance(whole, list) and isinstance(some, list):
        rest = iter(whole)
        return all(any(is_part(value, other) for other in rest) for value in some)
    return type(some) is type(whole) and some == whole


@given(st.lists(texts, min_size=1, max_size=6), queries, st.floats(0.05, 1.0))
@settings(max_examples=80, deadline=None)
def test_kept_text_is_word_for_word_in_order_and_within_the_budget(given_texts, query, ratio):
    result = compress(given_texts, query, ratio=ratio, marker=MARKER)
    assert result.tokens_after == count_tokens("\n\n".join(d.text for d in result.documents))
    assert result.tokens_after <= result.tokens_before
    assert result.tokens_after <= math.floor(ratio * result.tokens_before) or not result.report.dropped
    assert [int(document.id) for document in result.documents] == sorted(int(d.id) for d in result.documents)
    for document in result.documents:
        original = given_texts[int(document.id)]
        spans = [span for span in result.report.kept if span.document == int(document.id)]
        assert [span.start for span in spans] == sorted(span.start for span in spans)
        assert pieces_in_order(document.text, [original[span.start : span.end] for span in spans])
        assert document.text
        left = document.text
        for span in spans:
            left = left.replace(original[span.start : span.end], "", 1)
        if not original.lstrip().startswith(("{", "[")):
            assert all(char.isspace() or char == "|" for char in left.replace(MARKER, "")), left


@given(st.lists(texts, min_size=1, max_size=6), queries, st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_a_number_of_tokens_is_never_passed(given_texts, query, max_tokens):
    documents = [Document(f"d{at}", text, {"title": "Port of call"}) for at, text in enumerate(given_texts)]
    result = compress(documents, query, max_tokens=max_tokens)
    sent = "\n\n".join(
        document.text if document.text.startswith("Port of call\n") else f"Port of call\n{document.text}"
        for document in result.documents
    )
    assert count_tokens(sent) <= max_tokens
    assert result.tokens_after <= max_tokens


@given(st.lists(markdown, min_size=1, max_size=3), queries, st.floats(0.1, 0.9))
@settings(max_examples=60, deadline=None)
def test_fenced_blocks_are_kept_whole_or_not_at_all(given_texts, query, ratio):
    for document in compress(given_texts, query, ratio=ratio).documents:
        rest = document.text
        for fence in FENCES:
            rest = rest.replace(fence, "")
        assert "```" not in rest
        assert "~~~" not in rest


@given(records, queries, st.floats(0.2, 0.9))
@settings(max_examples=60, deadline=None)
def test_json_stays_json_with_some_of_its_records(text, query, ratio):
    whole = json.loads(text)
    for document in compress([text], query, ratio=ratio).documents:
        assert is_part(json.loads(document.text), whole)


@given(st.lists(texts, min_size=1, max_size=5), queries)
@settings(max_examples=50, deadline=None)
def test_ids_metadata_and_input_are_left_alone_and_the_result_is_the_same_every_time(given_texts, query):
    documents = [
        Document(f"id/{at}", text, {"source": {"page": at}, "tags": ["a"]})
        for at, text in enumerate(given_texts)
    ]
    before = copy.deepcopy(documents)
    first, second = compress(documents, query, ratio=0.4), compress(documents, query, ratio=0.4)
    assert documents == before
    assert first == second
    by_id = {document.id: document for document in documents}
    for document in first.documents:
        assert document.metadata is by_id[document.id].metadata
        assert document.title == by_id[document.id].title


@given(st.lists(texts, min_size=1, max_size=5), queries)
@settings(max_examples=50, deadline=None)
def test_what_is_neither_kept_nor_dropped_is_no_text(given_texts, query):
    result = compress(given_texts, query, ratio=0.5)
    for at, text in enumerate(given_texts):
        kept = [span for span in result.report.kept if span.document == at]
        dropped = [unit for unit in result.report.dropped if unit.document == at]
        for span in kept:
            for unit in dropped:
                assert unit.end <= span.start or span.end <= unit.start
        for unit in dropped:
            assert text[unit.start : unit.end].strip()


@given(st.one_of(prose, markdown, tight, st.text()))
@settings(max_examples=200, deadline=None)
def test_units_follow_each_other_and_leave_out_white_space_only(text):
    layout = layout_of(text)
    if layout.shape == "json":
        return
    end = 0
    for unit in layout.units:
        assert end <= unit.start < unit.end
        assert not text[end : unit.start].strip()
        assert all(head < len(layout.units) for head in unit.heads)
        end = unit.end
    assert not text[end:].strip()


@given(st.one_of(prose, st.text()))
@settings(max_examples=200, deadline=None)
def test_sentences_cover_all_but_white_space(text):
    end = 0
    for start, stop in sentence_spans(text):
        assert end <= start < stop
        assert not text[end:start].strip()
        assert text[start:stop] == text[start:stop].strip()
        end = stop
    assert not text[end:].strip()


@given(st.lists(prose, min_size=2, max_size=5), st.floats(0.1, 0.8))
@settings(max_examples=50, deadline=None)
def test_numbers_and_negations_stay_in_their_sentences(given_texts, ratio):
    said = {text[start:end] for text in given_texts for start, end in sentence_spans(text)}
    for document in compress(
        given_texts, "When was the harbour closed?", ratio=ratio, marker=MARKER
    ).documents:
        for part in document.text.split(MARKER):
            for start, end in sentence_spans(part):
                assert part[start:end] in said
