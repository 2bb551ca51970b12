"""The corpus is the documentation of the Python that runs, the same every time."""

from __future__ import annotations

import hashlib
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from examples.main_job.retriever import BM25Index
from examples.stdlib_corpus import MODULES, Document, build_corpus, describe_modules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return build_corpus()


def _documented(document: Document):
    path = document.id if document.module == "builtins" else document.id.removeprefix(f"{document.module}.")
    value = import_module(document.module)
    for name in path.split("."):
        value = getattr(value, name)
    return value


def test_every_document_is_the_docstring_of_what_it_names(corpus):
    for document in corpus:
        heading, _, body = document.text.partition("\n")
        assert heading.startswith(f"### {document.id}")
        assert body == inspect.cleandoc(_documented(document).__doc__)


def test_there_are_hundreds_of_documents_of_three_kinds(corpus):
    assert len(corpus) > 1000
    assert {document.kind for document in corpus} == {"class", "function", "method"}
    assert len({document.module for document in corpus}) > 60


def test_ids_are_unique_and_in_order(corpus):
    ids = [document.id for document in corpus]
    assert ids == sorted(set(ids))


def test_another_process_builds_the_same_corpus(corpus):
    script = (
        "import hashlib; from examples.stdlib_corpus import build_corpus;"
        "print(hashlib.sha256(repr(build_corpus()).encode()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert told == hashlib.sha256(repr(corpus).encode()).hexdigest()


def test_no_private_name_is_documented(corpus):
    assert not [document.id for document in corpus if any(part[0] == "_" for part in document.id.split("."))]


def test_python_without_docstrings_is_refused():
    script = "from examples.stdlib_corpus import build_corpus; build_corpus()"
    told = subprocess.run(
        [sys.executable, "-OO", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Python runs with -OO" in told.stderr


def test_every_module_is_described_in_a_line():
    lines = describe_modules()
    assert [line.split(":")[0] for line in lines] == [f"- {name}" for name in MODULES]
    assert not [line for line in lines if "\n" in line or line.endswith(": ")]


# --- finding documents


def test_a_document_is_found_by_its_name(corpus):
    index = BM25Index(corpus)
    for path in ("heapq.heappushpop", "str.partition", "collections.Counter.most_common"):
        assert index.search(f"What does {path} do?", 3)[0][0].id == path


def test_the_best_comes_first_and_nothing_comes_of_nothing(corpus):
    index = BM25Index(corpus)
    scores = [score for _, score in index.search("insert an item into a sorted list", 10)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 10
    assert index.search("xyzzy plugh", 10) == []
    assert BM25Index([]).search("anything", 3) == []


def test_scores_follow_the_formula():
    documents = [
        Document("a", "m", "function", "red red blue"),
        Document("b", "m", "function", "red"),
        Document("c", "m", "function", "green"),
    ]
    found = {document.id: score for document, score in BM25Index(documents).search("blue", 3)}
    # By hand: 6, 4 and 4 words with the path three times; one document of three has the word.
    length = 6 / (14 / 3)
    rarity = 0.9808292530117262  # ln(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert found == {"a": pytest.approx(rarity * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length)))}
