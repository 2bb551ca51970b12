"""What is written is read back as it was, whole or in parts, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sys
import zipfile
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.traffic.read_samples import call, placeless, traffic
from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.traffic import TrafficPart, read_traffic, split_traffic, write_traffic


@given(records=st.lists(traffic(), max_size=4))
def test_what_is_written_is_read_back_as_it_was(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    assert write_traffic(records, path) == len(records)
    reader = read_traffic(path, strict=True)
    assert placeless(reader) == records
    assert reader.rows == len(records)
    assert reader.bad == 0


@given(n=st.integers(1, 300), parts=st.integers(1, 9), size=st.integers(0, 3000))
def test_parts_give_together_what_the_file_gives(n, parts, size, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    write_traffic((call(number, answer="x" * (number * size % 4001)) for number in range(n)), path)
    cut = split_traffic(path, parts)
    assert [record for part in cut for record in read_traffic(part)] == list(read_traffic(path))
    assert len(cut) <= parts


def test_a_large_file_is_cut_into_as_many_parts_as_asked(tmp_path):
    path = tmp_path / "log.jsonl"
    write_traffic((call(number, answer="x" * 500) for number in range(2000)), path)
    cut = split_traffic(path, 4)
    counts = [sum(1 for _ in read_traffic(part)) for part in cut]
    assert len(counts) == 4
    assert sum(counts) == 2000
    assert min(counts) > 400
    middle = next(iter(read_traffic(cut[2])))
    assert middle.where == f"{path}:{counts[0] + counts[1] + 1}"


def test_a_part_is_made_of_plain_values(tmp_path):
    path = tmp_path / "log.jsonl"
    write_traffic((call(number, answer="x" * 500) for number in range(2000)), path)
    part = split_traffic(path, 3)[1]
    told = json.loads(json.dumps({name: getattr(part, name) for name in part.__slots__}))
    assert list(read_traffic(TrafficPart(**told))) == list(read_traffic(part))


def test_compressed_files_are_not_cut(tmp_path):
    path = tmp_path / "log.jsonl.gz"
    write_traffic((call(number, answer=f"{number}" * 500) for number in range(3000)), path)
    assert split_traffic(path, 4) == [TrafficPart(path=str(path))]


def test_less_than_one_part_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="parts must be 1 or more, not 0"):
        split_traffic(tmp_path, 0)


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2", ".xz"])
def test_the_ending_of_the_name_chooses_the_compression(tmp_path, ending):
    path = tmp_path / f"log.jsonl{ending}"
    write_traffic([call(1), call(2)], path)
    magic = {"": b'{"', ".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7"}[ending]
    assert path.read_bytes().startswith(magic)
    assert placeless(read_traffic(path)) == [call(1), call(2)]


def test_what_is_compressed_is_told_by_its_content_not_its_name(tmp_path):
    plain = io.StringIO()
    write_traffic([call(1)], plain)
    raw = plain.getvalue().encode()
    for number, pack in enumerate((gzip.compress, bz2.compress, lzma.compress)):
        path = tmp_path / f"{number}.log"
        path.write_bytes(pack(raw))
        assert placeless(read_traffic(path)) == [call(1)]


def test_an_archive_is_read_member_by_member_and_places_name_them(tmp_path):
    path = tmp_path / "logs.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in (2, 1):
            text = io.StringIO()
            write_traffic([call(number)], text)
            packed = gzip.compress(text.getvalue().encode()) if number == 2 else text.getvalue()
            archive.writestr(f"day/{number}.jsonl", packed)
    read = list(read_traffic(path))
    assert placeless(read) == [call(1), call(2)]
    assert [record.where for record in read] == [f"{path}!day/1.jsonl:1", f"{path}!day/2.jsonl:1"]


def test_a_folder_is_all_of_its_visible_files_by_name(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    write_traffic([call(1)], tmp_path / "a.jsonl")
    write_traffic([call(2)], tmp_path / "b" / "c.jsonl.gz")
    write_traffic([call(3)], tmp_path / ".git" / "d.jsonl")
    assert placeless(read_traffic(tmp_path)) == [call(1), call(2)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("n", [3, 4000])
def test_standard_input_is_read_like_a_file(monkeypatch, pack, n):
    text = io.StringIO()
    write_traffic((call(number, answer="y" * 400) for number in range(n)), text)
    packed = io.BufferedReader(io.BytesIO(pack(text.getvalue().encode())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(packed))
    reader = read_traffic("-")
    read = list(reader)
    assert placeless(read) == [call(number, answer="y" * 400) for number in range(n)]
    assert read[-1].where == f"<stdin>:{n}"


def test_reading_twice_gives_the_same_and_counts_anew(tmp_path):
    path = tmp_path / "log.jsonl"
    write_traffic([call(1), call(2)], path)
    reader = read_traffic(path)
    assert list(reader) == list(reader)
    assert (reader.rows, reader.formats) == (2, {"openai": 2})


def test_half_a_surrogate_pair_survives(tmp_path):
    cut = call(1, answer="cut in the middle of an emoji \ud83d")
    write_traffic([cut], tmp_path / "log.jsonl")
    assert placeless(read_traffic(tmp_path / "log.jsonl")) == [cut]


def test_an_amount_keeps_all_its_digits(tmp_path):
    cost = Decimal("0.000000000123456789012345678901")
    write_traffic([call(1, cost_usd=cost)], tmp_path / "log.jsonl")
    assert next(iter(read_traffic(tmp_path / "log.jsonl"))).cost_usd == cost


def test_lines_are_in_the_shape_of_openai_for_other_tools():
    text = io.StringIO()
    write_traffic([call(1, settings={"temperature": 0.5})], text)
    row = json.loads(text.getvalue())
    assert row["request"] == {
        "model": "small",
        "messages": [{"role": "user", "content": "question 1"}],
        "temperature": 0.5,
    }
    assert row["response"]["choices"][0]["message"] == {"role": "assistant", "content": "answer 1"}


def test_what_json_cannot_hold_is_refused_with_the_name_of_the_call():
    with pytest.raises(ConfigurationError, match="the call 'call-1' holds what JSON cannot"):
        write_traffic([call(1, settings={"stop": {1, 2}})], io.StringIO())


def test_a_target_that_is_no_file_is_refused():
    with pytest.raises(ConfigurationError, match="a target must be a path or an open file, not 7"):
        write_traffic([], 7)


def test_a_target_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(StoreError, match="could not be written"):
        write_traffic([call(1)], tmp_path / "no" / "folder.jsonl")


def test_lines_of_a_newer_shape_are_counted_as_bad(tmp_path):
    path = tmp_path / "log.jsonl"
    write_traffic([call(1)], path)
    with path.open("a") as stream:
        stream.write('{"tokenomics": 2}\n')
    reader = read_traffic(path)
    assert len(list(reader)) == 1
    assert "this release knows version 1" in reader.problems[0]
