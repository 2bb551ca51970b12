"""What compression keeps, brings along, leaves out and says."""

import asyncio
import json

import numpy as np
import pytest

from tokenomics_core.compression import Document, acompress, compress
from tokenomics_core.errors import ConfigurationError

TOWN = [
    Document(
        "h", "The harbour was built in 1890. It was closed on 3 May 1921. Fish was sold there.", {"page": 4}
    ),
    Document("b", "Bread is baked at night. The oven is hot. Flour comes from the mill.", {"page": 5}),
    Document("s", "The school has nine rooms. Children learn to read. The bell rings at eight.", {"page": 6}),
]


class Reranker:
    def __init__(self, wanted):
        self.wanted, self.seen = wanted, []

    def score(self, query, texts):
        self.seen += texts
        return [100.0 if self.wanted in text else 0.0 for text in texts]


class Broken:
    identity, dimension, max_tokens = "broken", 2, None

    def fits(self, text):
        return True

    def embed(self, texts):
        raise RuntimeError("no model")

    async def aembed(self, texts):
        raise RuntimeError("no model")

    def score(self, query, texts):
        return [float("nan")] * len(texts)


class OneWord(Broken):
    """Likens everything that speaks of bread to the question."""

    def embed(self, texts):
        return np.array(
            [[1.0, 0.0] if at == 0 or "Bread" in text else [0.0, 1.0] for at, text in enumerate(texts)]
        )

    async def aembed(self, texts):
        return self.embed(texts)


def test_what_answers_is_kept_and_the_rest_is_reported():
    result = compress(TOWN, "When was the harbour closed?", ratio=0.4)
    assert "closed on 3 May 1921" in result.documents[0].text
    assert result.documents[0].metadata == {"page": 4}
    assert result.tokens_after <= 0.4 * result.tokens_before
    assert result.report.ratio == result.tokens_after / result.tokens_before
    scores = [unit.score for unit in result.report.dropped]
    assert scores == sorted(scores, reverse=True)
    assert "tokens before" in str(result.report)


def test_it_brings_the_sentence_that_it_speaks_of():
    text = "Anna lived in Rome. She was born in 1890. Bread is baked. Flour is white. Ovens are hot at night."
    kept = compress([text], "born 1890", max_tokens=14).documents[0].text
    assert kept == "Anna lived in Rome. She was born in 1890."


def test_a_heading_comes_with_its_text_and_a_header_with_its_row():
    text = (
        "# Prices\nAll in dollars.\n\n| plan | cost |\n|---|---|\n| basic | 10 |\n| team | 99 |\n\n"
        "# Support\nWrite to us. We answer at once. We never sleep.\n"
    )
    kept = compress([text], "cost of the team plan", max_tokens=30).documents[0].text
    assert kept.startswith("# Prices\n")
    assert "| plan | cost |\n|---|---|\n" in kept
    assert "| team | 99 |" in kept


def test_a_table_with_rows_left_out_is_a_table_still():
    rows = "\n".join(
        f"| {name} | {at} |" for at, name in enumerate(["fig", "pear", "plum", "kiwi", "lime", "date"])
    )
    text = f"| fruit | place |\n|---|---|\n{rows}"
    kept = compress([text], "fig and date", max_tokens=30).documents[0].text.split("\n")
    assert kept[:2] == ["| fruit | place |", "|---|---|"]
    assert all(line.startswith("|") and line.endswith("|") for line in kept)
    assert {"| fig | 0 |", "| date | 5 |"} <= set(kept)


def test_a_list_item_comes_with_the_sentence_that_leads_to_it():
    text = "Nothing here.\nYou need these:\n- red paint\n- a ladder of wood\n- patience\n\nGood luck with it."
    kept = compress([text], "what ladder", max_tokens=13).documents[0].text
    assert kept == "You need these:\n … \n- a ladder of wood"


def test_json_records_are_left_out_whole():
    text = json.dumps({"total": 40, "rows": [{"id": at, "name": f"part {at}"} for at in range(40)]})
    kept = json.loads(compress([text], "part 17", ratio=0.3).documents[0].text)
    assert {"id": 17, "name": "part 17"} in kept["rows"]
    assert kept["total"] == 40
    assert len(kept["rows"]) < 40


def test_what_was_said_already_is_left_out():
    texts = ["The harbour of the town was closed in 1921. Fish was sold."] * 3
    result = compress(texts, "When was the harbour closed?", ratio=0.8)
    assert "".join(document.text for document in result.documents).count("closed in 1921") == 1
    assert {unit.reason for unit in result.report.dropped} >= {"repeated"}


def test_sentences_that_differ_in_a_number_or_a_negation_are_no_repetition():
    said = "The old harbour of the small town by the sea was {} closed for good in the year {}."
    texts = [said.format("then", 1921), said.format("then", 1922), said.format("not", 1921)]
    result = compress(
        [*texts, "Bread is baked at night in the ovens of the town."], "harbour closed", ratio=0.9
    )
    assert all(unit.reason != "repeated" for unit in result.report.dropped)
    assert len(result.documents) >= 3


@pytest.mark.parametrize(("marker", "tokens"), [(" … ", 20), (" [...] ", 20), ("", 18)])
def test_gaps_are_marked_as_asked(marker, tokens):
    text = "The harbour closed in 1921. Bread is baked. Ovens are hot. The harbour opened in 1890."
    kept = compress([text], "harbour 1921 1890", max_tokens=tokens, marker=marker).documents[0].text
    assert kept == f"The harbour closed in 1921.{marker or ' '}The harbour opened in 1890."


def test_a_title_counts_whether_it_stands_in_the_text_or_beside_it():
    body = "It was closed in 1921. Fish was sold there. Boats came from far away."
    inside = compress([f"Harbour of the town\n{body}"] * 1, "harbour closed", max_tokens=18)
    beside = compress(
        [Document("1", body, {"title": "Harbour of the town"})], "harbour closed", max_tokens=18
    )
    named = compress([Document("1", body, title="Harbour of the town")], "harbour closed", max_tokens=18)
    assert inside.tokens_before == beside.tokens_before == named.tokens_before
    assert beside.text.startswith("Harbour of the town\n")
    assert beside.documents[0].text == named.documents[0].text
    assert not beside.documents[0].text.startswith("Harbour")


def test_headers_and_separators_are_counted():
    result = compress(
        TOWN,
        "harbour closed",
        max_tokens=30,
        header=lambda document: f"[source {document.metadata['page']}]\n",
        separator="\n-----\n",
    )
    assert result.text.startswith("[source 4]\n")
    assert result.tokens_after <= 30


def test_a_counter_of_ones_own_is_kept_to():
    result = compress(TOWN, "harbour closed", max_tokens=60, count=len)
    assert 0 < len(result.text) <= 60
    assert result.tokens_before == len("\n\n".join(document.text for document in TOWN))


def test_what_fits_comes_back_as_it_is():
    result = compress(TOWN, "harbour", max_tokens=10_000)
    assert result.documents == TOWN
    assert result.tokens_after == result.tokens_before
    assert not result.report.dropped


def test_without_a_budget_the_relevant_is_kept_and_no_more():
    noise = [
        Document(f"n{at}", f"Recipe {at} needs flour and milk. Stir it {at} times. Bake it.")
        for at in range(20)
    ]
    result = compress([*noise, *TOWN], "When was the harbour closed?")
    assert any("closed on 3 May 1921" in document.text for document in result.documents)
    assert result.report.budget_tokens is None
    assert result.report.ratio < 0.5
    assert {unit.reason for unit in result.report.dropped} >= {"irrelevant"}


def test_a_question_about_everything_keeps_everything():
    noise = [
        Document(f"n{at}", f"Recipe {at} needs flour and milk. Stir it {at} times. Bake it.")
        for at in range(20)
    ]
    assert compress([*noise, *TOWN], "Summarise these documents").report.ratio == 1


def test_least_relevance_is_kept_to():
    few, many = (
        compress(TOWN, "Was the harbour closed in May 1921?", min_relevance=least) for least in (0.4, 0.01)
    )
    assert few.tokens_after <= many.tokens_after
    assert "closed" in few.text


def test_without_a_question_beginnings_are_kept():
    result = compress(TOWN, "", ratio=0.5)
    assert [document.text.split(".")[0] for document in result.documents][:2] == [
        "The harbour was built in 1890",
        "Bread is baked at night",
    ]


def test_the_best_documents_may_stand_at_the_edges():
    result = compress(TOWN, "The harbour was closed, the bell rings", ratio=0.8, order="edges")
    assert result.documents[0].id == "h"
    assert {document.id for document in result.documents} <= {"h", "b", "s"}
    assert result.text.startswith(result.documents[0].text)


def test_a_scorer_is_shown_the_better_half_and_has_the_louder_voice():
    reranker = Reranker("bell rings")
    result = compress(TOWN, "What happens in the school at eight?", max_tokens=12, scorer=reranker)
    assert "The bell rings at eight." in result.text
    assert len(reranker.seen) == 5


@pytest.mark.parametrize("call", [compress, lambda *a, **k: asyncio.run(acompress(*a, **k))])
def test_an_embedder_is_heard(call):
    result = call(TOWN, "What happens at night?", max_tokens=10, embedder=OneWord(), share_judged=1.0)
    assert "Bread is baked at night." in result.text


@pytest.mark.parametrize("call", [compress, lambda *a, **k: asyncio.run(acompress(*a, **k))])
def test_a_helper_that_fails_costs_its_help_only(call):
    result = call(TOWN, "When was the harbour closed?", ratio=0.4, embedder=Broken(), scorer=Broken())
    assert "closed on 3 May 1921" in result.text
    assert len(result.report.notes) == 2
    assert "embedder failed (RuntimeError: no model)" in result.report.notes[0]


def test_an_embedder_of_english_is_not_asked_about_chinese():
    result = compress(
        ["港口于1921年关闭。它再也没有开放。", "面包在夜里烘烤。"],
        "港口何时关闭",
        ratio=0.6,
        embedder=Broken(),
    )
    assert result.report.notes == ()
    assert "1921" in result.text
    assert compress(
        ["港口于1921年关闭。", "面包。"], "港口", ratio=0.6, embedder=Broken(), multilingual=True
    ).report.notes


def test_a_second_document_is_found_through_the_first():
    documents = [
        "Revenge (song)\nRevenge is a song that was distributed by Empire Records in the year 2017.",
        "Empire Records\nIts seat is in San Francisco, and it has two more offices in other towns.",
        "Revenge (film)\nRevenge is a film of the year 1990 that was shot in Mexico and in Spain.",
        "Capitol Records\nThe label is based in Hollywood and was founded by three men in 1942.",
        "Oxford Street\nIt is a street of London with many shops, and it is two kilometres long.",
    ]
    question = "Where is the company based that distributed the song Revenge?"
    result = compress(documents, question, ratio=0.7)
    assert {"0", "1"} <= {document.id for document in result.documents}
    assert "1" not in {document.id for document in compress(documents, question.lower(), ratio=0.7).documents}


def test_async_and_sync_agree():
    assert asyncio.run(acompress(TOWN, "harbour closed", ratio=0.4)) == compress(
        TOWN, "harbour closed", ratio=0.4
    )


def test_nothing_is_made_of_nothing():
    assert compress([], "harbour", ratio=0.5).documents == []
    assert compress(["", " \n"], "harbour", ratio=0.5).documents == []
    assert compress(TOWN, "harbour", max_tokens=0).text == ""


@pytest.mark.parametrize(
    ("documents", "settings", "message"),
    [
        ("one text", {}, "documents must be a list"),
        ([1], {}, r"documents\[0\] must be a text or a Document, not 1"),
        (["a"], {"ratio": 0}, "ratio must be above 0 and at most 1, not 0"),
        (["a"], {"ratio": 1.5}, "not 1.5"),
        (["a"], {"max_tokens": -1}, "max_tokens must be 0 or more, not -1"),
        (["a"], {"max_tokens": 2.5}, "not 2.5"),
        (["a"], {"min_relevance": float("nan")}, "min_relevance must be from 0 to 1"),
        (["a"], {"share_judged": 0}, "share_judged must be above 0"),
        (["a"], {"order": "best"}, "order must be source or edges, not 'best'"),
    ],
)
def test_bad_arguments_are_refused(documents, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        compress(documents, "q", **settings)


def test_a_question_must_be_a_text():
    with pytest.raises(ConfigurationError, match="query must be a text, not None"):
        compress(["a"], None, ratio=0.5)


@pytest.mark.parametrize("by_meaning", [True, False])
@pytest.mark.parametrize("query", ["capital of France", "What is the capital of France?"])
def test_of_two_documents_the_one_that_answers_goes_before_the_one_with_more_of_the_words(query, by_meaning):
    paris = Document("p", "Paris is the capital of France. It lies on the Seine. It has 2.1 million people.")
    berlin = Document(
        "b", "Berlin is the capital of Germany. It is not the capital of France. It has 3.6 million people."
    )
    for documents in ([paris, berlin], [berlin, paris]):
        kept = compress(documents, query, max_tokens=8, by_meaning=by_meaning).documents
        assert [document.text for document in kept] == ["Paris is the capital of France."]


@pytest.mark.parametrize(
    "text",
    [
        "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย" * 30,
        " ".join(f"word{at} goes on and" for at in range(200)) + " the treasure lies under the oak",
        "- " + ", ".join(f"item number {at}" for at in range(300)) + ", the treasure under the oak",
    ],
    ids=["no blanks", "no full stop", "one item"],
)
@pytest.mark.parametrize("budget", [25, 60])
def test_a_sentence_longer_than_the_budget_is_kept_in_part(text, budget):
    result = compress([text], "Where is the treasure under the oak?", max_tokens=budget)
    assert 0 < result.tokens_after <= budget
    for span in result.report.kept:
        assert text[span.start : span.end] in result.documents[0].text
    if "treasure" in text:
        assert "treasure" in result.documents[0].text


def test_that_units_were_cut_for_a_small_budget_is_noted():
    text = " ".join(f"word{at} goes on and" for at in range(200))
    assert compress([text], "word7", max_tokens=40).report.notes
    assert not compress([text + ". Word7 is it."], "word7", max_tokens=40).report.notes
