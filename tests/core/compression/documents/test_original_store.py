"""What was cut can be asked for."""

import pytest

from tokenomics_core.compression import (
    Document,
    MemoryOriginalStore,
    OriginalStore,
    SQLiteOriginalStore,
    compress,
    restore_original,
    restore_tool,
)
from tokenomics_core.errors import ConfigurationError, StoreError

TEXT = "The harbour closed in 1921. Bread is baked. Ovens are hot. Milk is white. Flour is dear."


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryOriginalStore(max_entries=3)
    else:
        with SQLiteOriginalStore(tmp_path / "originals.db", max_entries=3) as opened:
            yield opened


def test_a_document_comes_back_as_it_was(store):
    document = Document("d", TEXT, {"page": 4, "tags": ["x"]}, "Port")
    handle = store.put(document)
    assert isinstance(store, OriginalStore)
    assert store.get(handle) == document
    assert store.put(document) == handle
    assert store.get("nothing") is None
    assert len(store) == 1


def test_documents_of_one_id_are_told_apart(store):
    one, other = store.put(Document("0", "a")), store.put(Document("0", "b"))
    assert one != other
    assert store.get(one).text == "a"


def test_the_oldest_leaves_first(store):
    handles = [store.put(Document(str(at), "text")) for at in range(5)]
    assert len(store) == 3
    assert store.get(handles[0]) is None
    assert store.get(handles[4]) is not None


def test_what_was_cut_is_kept_and_what_was_not_is_not(store):
    result = compress(
        [Document("a", TEXT), Document("b", "The harbour.")], "harbour 1921", ratio=0.6, store=store
    )
    assert "a" in result.report.originals
    assert store.get(result.report.originals["a"]).text == TEXT


def test_an_agent_can_ask(store):
    handle = store.put(Document("d", TEXT))
    schema = restore_tool()["function"]
    assert schema["parameters"]["required"] == ["handle"]
    assert restore_original(store, {"handle": handle}) == TEXT
    part = restore_original(store, {"handle": handle, "start": 4, "max_characters": 7})
    assert part.startswith("harbour\n[")
    assert "call again with start=11" in part
    assert "no document is kept" in restore_original(store, {"handle": "x"})
    assert "must be" in restore_original(store, {"handle": 3})
    assert "must be" in restore_original(store, {"handle": handle, "start": -1})


def test_a_file_outlives_its_process_and_is_refused_where_it_is_another_programs(tmp_path):
    with SQLiteOriginalStore(tmp_path / "o.db") as first:
        handle = first.put(Document("d", TEXT))
    with SQLiteOriginalStore(tmp_path / "o.db") as second:
        assert second.get(handle).text == TEXT
    (tmp_path / "other.db").write_text("not a database at all, but long enough to look like one" * 20)
    with pytest.raises(StoreError):
        SQLiteOriginalStore(tmp_path / "other.db").put(Document("d", TEXT))


def test_a_store_holds_at_least_one():
    with pytest.raises(ConfigurationError, match="max_entries"):
        MemoryOriginalStore(max_entries=0)
