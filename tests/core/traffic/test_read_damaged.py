"""What is damaged is counted, quoted and passed over; what is foreign is refused; memory stays bounded."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from tests.core.traffic.read_samples import ASKED, CHAT, call, lines, placeless
from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.traffic import read_traffic, write_traffic

ROW = {"at": "2026-11-03T12:00:00+00:00", "request": ASKED, "response": CHAT}


def write(tmp_path, content: bytes):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    return path


def test_a_bad_line_is_counted_quoted_and_passed_over(tmp_path):
    path = write(
        tmp_path, lines(ROW) + b'{"broken": \n\n' + b"\xff\xfe not text\n" + b"[1, 2]\n" + lines(ROW)
    )
    reader = read_traffic(path)
    assert len(list(reader)) == 2
    assert reader.bad == 3
    broken, no_text, no_object = reader.problems
    assert broken.startswith(f"{path}:2: no JSON (")
    assert '{"broken":' in broken
    assert no_text.startswith(f"{path}:4: no ")
    assert no_object.startswith(f"{path}:5: ")


def test_a_quotation_is_short_and_the_list_of_problems_too(tmp_path):
    path = write(tmp_path, lines(ROW) + (b"{" + b"x" * 5000 + b"\n") * 50)
    reader = read_traffic(path)
    list(reader)
    assert reader.bad == 50
    assert len(reader.problems) == 20
    assert max(map(len, reader.problems)) < 400


def test_strict_stops_at_the_first_bad_line_and_says_where(tmp_path):
    path = write(tmp_path, lines(ROW) + b"{oops\n" + lines(ROW))
    read = []
    with pytest.raises(ConfigurationError, match=r"log\.jsonl:2: no JSON .*oops.*reading stopped there"):
        read.extend(read_traffic(path, strict=True))


def test_a_damaged_first_line_does_not_hide_the_format(tmp_path):
    reader = read_traffic(write(tmp_path, b'{"cut off at the begin\n' + lines(ROW, ROW)))
    assert len(list(reader)) == 2
    assert reader.bad == 1


def test_a_truncated_gzip_gives_what_is_left_of_it(tmp_path):
    whole = gzip.compress(lines(*({**ROW, "id": f"{n:x}" * 7} for n in range(4000))))
    path = write(tmp_path, whole[: len(whole) // 2])
    reader = read_traffic(path)
    read = list(reader)
    assert 100 < len(read) < 4000
    assert reader.bad >= 1
    assert "damaged" in reader.problems[-1]
    with pytest.raises(ConfigurationError, match="damaged"):
        list(read_traffic(path, strict=True))


def test_a_truncated_table_gives_what_is_left_of_it(tmp_path):
    whole = gzip.compress(b"t,m\n" + b"".join(b"2026-11-03,small-%d\n" % n for n in range(3000)))
    reader = read_traffic(write(tmp_path, whole[: len(whole) // 2]), mapping={"t": "at", "m": "model"})
    read = list(reader)
    assert 100 < len(read) < 3000
    assert read[7].model == "small-7"
    assert "damaged" in reader.problems[-1]


def test_a_gzip_with_a_flipped_byte_is_reported(tmp_path):
    whole = bytearray(gzip.compress(lines(*({**ROW, "id": f"{n:x}" * 7} for n in range(4000)))))
    whole[-6] ^= 0xFF  # in the check sum
    reader = read_traffic(write(tmp_path, bytes(whole)))
    assert len(list(reader)) == 4000
    assert "damaged" in reader.problems[0]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\n\n  \n" + text.rstrip(b"\n"),
        lambda text: text.decode().encode("utf-16"),
        lambda text: gzip.compress(text.decode().encode("utf-16")),
    ],
    ids=["byte order mark", "CRLF", "blank lines and no last end", "UTF-16", "UTF-16 in gzip"],
)
def test_the_ways_that_editors_save_text_make_no_difference(tmp_path, encode):
    rows = [{**ROW, "id": str(number), "user": "Zoë"} for number in range(30)]
    reader = read_traffic(write(tmp_path, encode(lines(*rows))), strict=True)
    read = list(reader)
    assert [record.id for record in read] == [row["id"] for row in rows]
    assert {record.attribution.user for record in read} == {"Zoë"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ROW, ROW]),
        json.dumps([ROW, ROW], indent=2),
        json.dumps({"data": [ROW, ROW], "meta": {"page": 1}}),
        json.dumps({"data": [ROW, ROW], "meta": {"page": 1}}, indent=4),
        json.dumps({"meta": {"page": 1}, "data": [ROW, ROW]}),
        json.dumps({"meta": {"page": 1}, "data": [ROW, ROW]}, indent=1),
        json.dumps(ROW, indent=2) + "\n" + json.dumps(ROW, indent=2),
        json.dumps({"data": [ROW]}) + "\n" + json.dumps({"data": [ROW]}),
        "[\n" + json.dumps(ROW) + ",\n" + json.dumps(ROW) + "\n]\n",
    ],
)
def test_a_document_is_read_like_lines(tmp_path, text):
    reader = read_traffic(write(tmp_path, text.encode()), strict=True)
    assert [record.answer for record in reader] == ["Paris.", "Paris."]


def test_a_cut_document_gives_what_is_left_of_it(tmp_path):
    text = json.dumps([{**ROW, "id": str(n)} for n in range(5000)], indent=1).encode()
    reader = read_traffic(write(tmp_path, text[: len(text) // 2]))
    read = list(reader)
    assert 2000 < len(read) < 3000
    assert reader.bad == 1
    assert "the rest of the file was not read" in reader.problems[0]


def test_lines_of_several_formats_may_be_mixed(tmp_path):
    own = tmp_path / "own.jsonl"
    write_traffic([call(1)], own)
    path = write(tmp_path, lines(ROW) + own.read_bytes() + lines({"data": [ROW, ROW]}))
    assert [record.answer for record in read_traffic(path, strict=True)] == [
        "Paris.",
        "answer 1",
        "Paris.",
        "Paris.",
    ]


@pytest.mark.parametrize("name", ["langsmith_runs.jsonl", "langfuse_blob.jsonl", "otlp_genai.json"])
def test_our_lines_are_found_among_spans_too(tmp_path, name):
    own = tmp_path / "own.jsonl"
    write_traffic([call(1)], own)
    spans = (Path(__file__).parent / "exports" / name).read_text()
    one_line = json.dumps(json.loads(spans)) if name.endswith("json") else spans.rstrip()
    path = write(tmp_path, f"{one_line}\n".encode() + own.read_bytes())
    reader = read_traffic(path, strict=True)
    assert len(list(reader)) == 4
    assert reader.formats["openai"] == 1


def test_a_table_of_unknown_columns_is_refused_with_its_header(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"begins with 'room,degrees'; name a format, or the columns"
    ):
        list(read_traffic(write(tmp_path, b"room,degrees\nkitchen,21.5\n")))


def test_what_no_format_fits_is_refused_with_its_first_line(tmp_path):
    path = write(tmp_path, lines({"temperature": 21.5, "room": "kitchen"}))
    with pytest.raises(
        ConfigurationError, match=r"in no format known here .*kitchen.*nothing was read of it"
    ):
        list(read_traffic(path))


def test_text_that_is_no_log_is_refused_with_its_first_line(tmp_path):
    path = write(tmp_path, b"Dear all,\nplease find attached\n")
    with pytest.raises(ConfigurationError, match=r"it begins with .Dear all,"):
        list(read_traffic(path))


def test_an_empty_file_holds_no_calls(tmp_path):
    reader = read_traffic(write(tmp_path, b""))
    assert list(reader) == []
    assert (reader.rows, reader.bad, reader.formats) == (0, 0, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "xml"}, "format must be one of auto, .*, not 'xml'"),
        ({"format": "csv"}, "format='csv' needs a mapping"),
        (
            {"format": "openai", "mapping": {"a": "at", "m": "model"}},
            "a mapping is for tables, not for openai",
        ),
        ({"hash_secret": "short"}, "hash_secret must have at least 16 bytes"),
        ({"hash_secret": "x" * 16, "hash_fields": ("model",)}, "hash_fields may name .*, not 'model'"),
        ({"hash_secret": "x" * 16, "hash_fields": "user"}, "hash_fields must be several names, not 'user'"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_read(tmp_path, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        read_traffic(write(tmp_path, lines(ROW)), **arguments)


def test_a_file_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no file '.*absent'"):
        read_traffic(tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="a log must be named by its path, not 7"):
        read_traffic([7])


def test_a_file_that_goes_away_is_a_store_error(tmp_path):
    path = write(tmp_path, lines(ROW))
    reader = read_traffic(path)
    path.unlink()
    with pytest.raises(StoreError, match="could not be opened"):
        list(reader)


@pytest.mark.parametrize("kind", ["lines", "document", "csv"])
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    rows = ({**ROW, "id": str(number), "note": "x" * 4000} for number in range(6000))
    path = tmp_path / "log"
    with path.open("w") as stream:
        if kind == "csv":
            stream.write("time,model,prompt\n")
            stream.writelines(f"{ROW['at']},small,{'x' * 4000}\n" for _ in rows)
        else:
            between = "," if kind == "document" else ""
            stream.write("[" if kind == "document" else "")
            stream.writelines((between if n else "") + json.dumps(row) + "\n" for n, row in enumerate(rows))
            stream.write("]" if kind == "document" else "")
    assert path.stat().st_size > 20_000_000
    reader = read_traffic(
        path, mapping={"time": "at", "model": "model", "prompt": "prompt"} if kind == "csv" else None
    )
    tracemalloc.start()
    try:
        assert sum(1 for _ in reader) == 6000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_values_of_any_type_in_any_field_never_break_the_reading(tmp_path):
    odd = [None, True, -1, 1e400, "x", [], [1], {}, {"a": 1}, [[]], "{", "[1"]
    fields = [
        *ROW,
        "usage",
        "cost",
        "user",
        "metadata",
        "latency_s",
        "error",
        "status",
        "id",
        "end_time",
        "tags",
    ]
    rows = [{**ROW, name: value} for name in fields for value in odd]
    rows += [
        {**ROW, "request": {**ASKED, name: value}} for name in (*ASKED, "tools", "system") for value in odd
    ]
    rows += [{**ROW, "response": {**CHAT, name: value}} for name in CHAT for value in odd]
    reader = read_traffic(write(tmp_path, lines(ROW, *rows)))
    read = list(reader)
    assert len(read) + reader.bad == len(rows) + 1
    assert len(read) > len(rows) * 0.8
    copy = tmp_path / "copy.jsonl"
    write_traffic(read, copy)
    assert placeless(read_traffic(copy, strict=True)) == placeless(read)
