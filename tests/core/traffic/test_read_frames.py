"""However a document is laid out, and in whatever pieces it arrives, its rows are the same."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.traffic._read_frames import csv_rows, document_rows, frame_of, line_rows
from tokenomics_core.traffic._read_tally import Tally

texts = st.text(max_size=12) | st.sampled_from(
    ['"', "]", "},{", "\\", "ü€🎉", '{"data":[', "\u2028", "\ud83d"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
rows = st.lists(st.dictionaries(texts.filter(lambda name: name != "data"), values, max_size=4), max_size=5)


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time, as networks do."""

    def __init__(self, content: bytes, step: int) -> None:
        super().__init__(content)
        self.step = step

    def read(self, size=-1):
        return super().read(self.step if size is None or size < 0 else min(size, self.step))


LAYOUTS = [
    lambda rows, indent: json.dumps(rows, indent=indent),
    lambda rows, indent: json.dumps({"data": rows, "meta": {"page": [1, {"of": 2}]}}, indent=indent),
    lambda rows, indent: json.dumps({"data": rows}, indent=indent) + "\n" + json.dumps({"data": []}),
    lambda rows, indent: "\n".join(json.dumps(row, indent=indent) for row in rows),
    lambda rows, indent: "[" + " ,\n\n".join(json.dumps(row, ensure_ascii=True) for row in rows) + "\n]",
]


@given(
    rows=rows, layout=st.sampled_from(LAYOUTS), indent=st.none() | st.integers(0, 2), step=st.integers(1, 40)
)
def test_documents_give_their_rows_in_whatever_pieces_they_come(rows, layout, indent, step):
    tally = Tally()
    stream = Dribble(layout(rows, indent).encode(), step)
    assert [row for _, row in document_rows("log", stream, tally)] == rows
    assert tally.bad == 0


@given(rows=rows.filter(len), cut=st.floats(0, 0.99), step=st.integers(1, 40))
def test_a_cut_array_gives_its_first_rows_and_says_that_it_is_cut(rows, cut, step):
    whole = json.dumps(rows)
    tally = Tally()
    read = [
        row for _, row in document_rows("log", Dribble(whole[: int(len(whole) * cut)].encode(), step), tally)
    ]
    assert read == rows[: len(read)]
    assert tally.bad == (1 if int(len(whole) * cut) else 0)


@given(rows=rows, ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_lines_give_their_rows_and_numbers(rows, ending):
    content = "".join(json.dumps(row) + ending for row in rows).encode()
    read = list(line_rows("log", io.BytesIO(content), Tally(is_strict=True)))
    assert [row for _, row in read] == rows
    step = ending.count("\n")
    assert [place for place, _ in read] == [f"log:{1 + number * step}" for number in range(len(rows))]
    assert not content or frame_of(content, is_whole=True) == "lines"


cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(table=st.lists(st.tuples(cells, cells), max_size=5), mark=st.sampled_from(",;\t|"))
def test_tables_give_their_cells(table, mark):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=mark, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["a", "b"])
    writer.writerows(table)
    read = csv_rows("log", io.BytesIO(text.getvalue().encode()), Tally(is_strict=True))
    assert [tuple(row.values()) for _, row in read] == table
