"""What is no list of texts, no size and no file of ours is refused before anything is embedded."""

from __future__ import annotations

import logging
import sqlite3
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.embedding import CachedEmbedder, FunctionEmbedder, StaticEmbedder
from tokenomics_core.embedding._vector_file import VectorFile


def by_function(**settings):
    return FunctionEmbedder(
        lambda texts: [[1.0, len(text)] for text in texts], identity="f", dimension=2, **settings
    )


EMBEDDERS = {
    "static": StaticEmbedder,
    "function": by_function,
    "cached": lambda: CachedEmbedder(StaticEmbedder()),
}


@pytest.mark.parametrize("make", EMBEDDERS.values(), ids=EMBEDDERS)
@pytest.mark.parametrize("texts", ["refund", "", b"refund", ["refund", None], [["refund"]]])
async def test_what_is_no_list_of_texts_is_refused(make, texts):
    with pytest.raises(ConfigurationError, match="nothing was embedded"):
        make().embed(texts)
    with pytest.raises(ConfigurationError, match="nothing was embedded"):
        await make().aembed(texts)


@pytest.mark.parametrize("make", EMBEDDERS.values(), ids=EMBEDDERS)
async def test_no_texts_are_no_vectors(make):
    embedder = make()
    assert embedder.embed([]).shape == (await embedder.aembed(())).shape == (0, embedder.dimension)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8", float("nan")])
def test_a_size_that_is_no_whole_number_is_refused(value):
    for make in (
        lambda: StaticEmbedder(max_tokens=value),
        lambda: by_function(max_tokens=value),
        lambda: FunctionEmbedder(len, identity="f", dimension=value),
        lambda: CachedEmbedder(StaticEmbedder(), max_entries=value),
    ):
        with pytest.raises(ConfigurationError, match=f"not {value!r}"):
            make()


@pytest.mark.parametrize("name", ["function", "afunction", "count"])
def test_what_is_no_function_is_refused(name):
    settings = {"function": len, "identity": "f", "dimension": 2} | {name: "embed"}
    with pytest.raises(ConfigurationError, match=f"{name} must be a function, not 'embed'"):
        FunctionEmbedder(**settings)


@pytest.mark.parametrize("missing", ["dimension", "function"])
def test_nothing_is_no_setting(missing):
    settings = {"function": len, "identity": "f", "dimension": 2} | {missing: None}
    with pytest.raises(ConfigurationError, match="not None"):
        FunctionEmbedder(**settings)


@given(
    st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=3, max_size=3),
    st.integers(-290, 290),
)
def test_the_size_of_a_functions_numbers_does_not_matter(direction, power):
    found = FunctionEmbedder(
        lambda texts: [[x * 10.0**power for x in direction]], identity="f", dimension=3
    ).embed(["a"])
    wanted = np.array(direction) / np.linalg.norm(direction)
    assert np.allclose(found[0], wanted, atol=1e-6)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0])
def test_numbers_without_a_direction_are_refused(number):
    embedder = FunctionEmbedder(lambda texts: [[0.0, number]], identity="f", dimension=2)
    with pytest.raises(ConfigurationError, match=f"largest number is {number}"):
        embedder.embed(["a"])


def test_reading_creates_no_file(tmp_path):
    path = tmp_path / "vectors.db"
    assert VectorFile(path).read([b"k"], 2) == {}
    assert not path.exists()


def test_a_file_without_tables_yet_holds_nothing(tmp_path):
    path = tmp_path / "vectors.db"
    path.touch()
    assert VectorFile(path).read([b"k"], 2) == {}
    assert path.stat().st_size == 0


def test_reading_waits_for_no_writer(tmp_path):
    path = tmp_path / "vectors.db"
    file = VectorFile(path)
    file.write({b"k": np.array([0.6, 0.8], np.float32)})
    found = []
    with file._database.changing("nothing was kept") as connection:
        connection.execute("DELETE FROM vectors")
        reader = threading.Thread(target=lambda: found.append(file.read([b"k"], 2)))
        reader.start()
        reader.join(10)
        assert not reader.is_alive()
    assert np.allclose(found[0][b"k"], [0.6, 0.8], atol=1e-3)


@pytest.fixture(params=["foreign", "newer"])
def unusable(request, tmp_path):
    path = tmp_path / "other.db"
    if request.param == "newer":
        file = VectorFile(path)
        file.write({})
        file.close()
    with sqlite3.connect(path) as connection:
        if request.param == "foreign":
            connection.execute("CREATE TABLE customers (name TEXT)")
            connection.execute("INSERT INTO customers VALUES ('Ada')")
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    return path


def test_another_programs_or_a_newer_file_is_refused_and_left_as_it_is(unusable, caplog):
    before = unusable.read_bytes()
    for use in (lambda file: file.read([b"k"], 2), lambda file: file.write({})):
        with pytest.raises(StoreError, match="was left as it is"):
            use(VectorFile(unusable))
    with (
        caplog.at_level(logging.WARNING, logger="tokenomics"),
        CachedEmbedder(by_function(), unusable) as cached,
    ):
        assert cached.embed(["a", "b"]).shape == (2, 2)
        assert cached.stats.failures > 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert unusable.read_bytes() == before
