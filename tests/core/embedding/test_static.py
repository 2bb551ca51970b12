"""The built-in embedder: the same everywhere, of unit length, near for the same question."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError
from tokenomics_core.embedding import Embedder, StaticEmbedder
from tokenomics_core.embedding._weights import load_weights, save_weights, shipped_weights
from tokenomics_core.embedding._wordpiece import WordPieces, split_words

EMBEDDER = StaticEmbedder()
SAME = [
    ("How do I reset my password?", "how can i reset the password"),
    ("Where is my parcel?", "I am still waiting for my package"),
    ("Cancel my subscription", "I want to terminate my membership"),
    ("What is the exchange rate?", "which conversion rate do you use for currencies"),
    ("My card was stolen", "somebody took my bank card"),
    ("How long does delivery take?", "when will my order arrive"),
]


@given(st.lists(st.text(max_size=80), max_size=6))
def test_every_text_has_a_vector_of_unit_length_alone_and_among_others(texts):
    together = EMBEDDER.embed(texts)
    assert together.shape == (len(texts), EMBEDDER.dimension)
    assert together.dtype == np.float32
    for text, vector in zip(texts, together, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert np.array_equal(EMBEDDER.embed([text])[0], vector)


@given(st.text(max_size=200))
def test_words_split_alike_in_either_case_and_hold_no_space(text):
    words = list(split_words(text))
    assert all(word and not any(char.isspace() for char in word) for word in words)
    if text.isascii():
        assert words == list(split_words(text.upper().lower()))
        assert "".join(words) == "".join(
            char for char in text.lower() if not char.isspace() and unicodedata.category(char)[0] != "C"
        )


def test_a_question_is_nearer_to_its_paraphrase_than_to_any_other_question():
    ours = EMBEDDER.embed([a for a, _ in SAME])
    theirs = EMBEDDER.embed([b for _, b in SAME])
    assert np.array_equal((ours @ theirs.T).argmax(axis=1), np.arange(len(SAME)))


def test_another_process_finds_the_same_vectors():
    texts = ["How do I reset my password?", "", "naïve 你好 🙂"]
    code = (
        "import json, sys; from tokenomics_core.embedding import StaticEmbedder; e = StaticEmbedder(); "
        f"print(json.dumps([e.identity, [v.tobytes().hex() for v in e.embed({texts!r})]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    identity, vectors = json.loads(done.stdout)
    assert identity == EMBEDDER.identity
    assert vectors == [vector.tobytes().hex() for vector in EMBEDDER.embed(texts)]


def test_it_is_an_embedder_whose_identity_names_its_weights():
    assert isinstance(EMBEDDER, Embedder)
    assert EMBEDDER.identity.startswith("static-")
    assert EMBEDDER.identity.endswith(shipped_weights().digest[:12])
    assert EMBEDDER.dimension <= 300


def test_the_weights_take_at_most_ten_megabytes():
    weights = shipped_weights()
    assert weights.table.nbytes + weights.scale.nbytes // 2 + sum(map(len, weights.tokens)) < 10_000_000


def test_threads_share_one_load():
    embedder = StaticEmbedder()
    found = []
    threads = [threading.Thread(target=lambda: found.append(embedder.embed(["hello"]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(vector, found[0]) for vector in found)


def test_async_code_gets_the_same_for_short_and_long_texts():
    texts = ["short", "long " * 6_000]
    assert np.array_equal(asyncio.run(EMBEDDER.aembed(texts)), EMBEDDER.embed(texts))


def test_a_text_of_more_tokens_than_one_question_has_does_not_fit():
    assert EMBEDDER.fits("How do I reset my password?")
    assert not EMBEDDER.fits("word " * 129)
    assert StaticEmbedder(max_tokens=3).fits("one two three")
    assert not StaticEmbedder(max_tokens=3).fits("one two three four")


def test_long_words_and_long_texts_are_read_in_one_pass():
    assert np.linalg.norm(EMBEDDER.embed(["x" * 1_000_000])[0]) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(EMBEDDER.embed(["many words " * 50_000])[0]) == pytest.approx(1, abs=1e-5)


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    table = np.arange(12, dtype=np.int8).reshape(4, 3)
    tokens = ("[UNK]", "hello", "##s", "hello world")
    save_weights(tmp_path / "t.npz", tokens, table, np.ones(4, np.float16), "x")
    weights = load_weights(tmp_path / "t.npz")
    assert weights.tokens == tokens
    assert np.array_equal(weights.table, table)
    embedder = StaticEmbedder(tmp_path / "t.npz")
    expected = table[1].astype(float) + table[0] + table[3]  # hello, an unknown word, and their pair
    assert embedder.embed(["Hello world"])[0] == pytest.approx(expected / np.linalg.norm(expected))


def test_pieces_are_the_longest_that_fit():
    pieces = WordPieces({"[UNK]": 0, "un": 1, "##happy": 2, "##hap": 3, "unhap": 4, "##py": 5}, 0)
    assert pieces.rows("unhappy") == [4, 5]
    assert pieces.rows("sad") == [0]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"no table", lambda data: data[:-400] + b"x" * 400],
    ids=["cut", "other", "changed"],
)
def test_a_damaged_table_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "t.npz"
    save_weights(path, ("[UNK]", "a"), np.ones((2, 300), np.int8), np.ones(2, np.float16), "x")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigurationError, match=r"t\.npz"):
        StaticEmbedder(path).embed(["a"])


def test_a_single_array_in_place_of_a_table_is_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ConfigurationError, match="holds no token vectors"):
        load_weights(tmp_path / "array.npy")


def test_a_header_that_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "table.npz"
    np.savez(
        path,
        meta=np.frombuffer(b"[]", np.uint8),
        tokens=np.frombuffer(b"a", np.uint8),
        table=np.zeros((1, 2), np.int8),
        scale=np.ones(1, np.float16),
    )
    with pytest.raises(ConfigurationError, match="its header is"):
        load_weights(path)


def test_a_table_whose_numbers_were_changed_is_refused(tmp_path):
    path = tmp_path / "t.npz"
    save_weights(path, ("[UNK]", "a"), np.ones((2, 3), np.int8), np.ones(2, np.float16), "x")
    with np.load(path) as data:
        kept = dict(data)
    kept["table"] = kept["table"] * 2
    with path.open("wb") as file:
        np.savez(file, **kept)
    with pytest.raises(ConfigurationError, match="damaged"):
        StaticEmbedder(path).embed(["a"])


def test_a_single_text_in_place_of_a_list_is_refused():
    with pytest.raises(ConfigurationError, match="list of texts, not 'hello'"):
        EMBEDDER.embed("hello")
    with pytest.raises(ConfigurationError, match="max_tokens must be a whole number of 1 or more, not 0"):
        StaticEmbedder(max_tokens=0)
