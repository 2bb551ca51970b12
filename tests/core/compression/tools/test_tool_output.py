"""A tool's output gets shorter by what it is, stays whole where it says so, and names what is missing."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import compress_tool_output
from tokenomics_core.errors import ConfigurationError

HTML = """<!doctype html><html><head><title>no</title><style>p {}</style></head><body>
<h1>Returns</h1><p>You have <b>30 days</b> &amp; a <a href="https://shop.example/r">form</a>.</p>
<ul><li>unused</li><li>with receipt</li></ul><script>track()</script>
<table><tr><th>Country</th><th>Days</th></tr><tr><td>DE</td><td>14</td></tr></table><pre>a
  b</pre></body></html>"""
DIFF = "\n".join(
    [
        *("diff --git a/a.py b/a.py", "--- a/a.py", "+++ b/a.py", "@@ -1,9 +1,9 @@"),
        *(f" line {index}" for index in range(5)),
        *("-old = 1", "+new = 1"),
        *(f" line {index}" for index in range(5, 10)),
    ]
)


def words(text):
    """Count words and marks; what counts tokens must not matter."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@given(
    st.lists(
        st.text(alphabet='abc 1{}[]",:\n', max_size=30)
        | st.sampled_from(["ERROR: no space left", "2026-01-01 12:00:00 INFO started worker 17", "ok", "ok"]),
        max_size=30,
    ).map("\n".join),
    st.integers(1, 60),
)
def test_nothing_grows_and_no_budget_is_passed(text, budget):
    free = compress_tool_output(text, count=words)
    assert free.tokens_after == words(free.text) <= free.tokens_before == words(text)
    short = compress_tool_output(text, max_tokens=budget, count=words)
    assert words(short.text) <= budget
    assert short.lossless == (not short.missing)
    if short.lossless:
        assert short.text == text or short.kind == "json"


@given(
    st.lists(st.fixed_dictionaries({"id": st.integers(), "note": st.text(max_size=300)}), max_size=12),
    st.integers(20, 200),
)
def test_json_that_must_stay_json_is_json_after_any_cut(rows, budget):
    text = json.dumps({"rows": rows, "total": len(rows)})
    short = compress_tool_output(text, max_tokens=budget, form="json", count=words)
    assert words(short.text) <= budget
    kept = json.loads(short.text)
    if not isinstance(kept, dict):
        assert not short.lossless
        return
    whole = [row for row in kept["rows"] if row in rows]
    rest = iter(rows)
    assert all(row in rest for row in whole)  # in order
    if short.lossless:
        assert kept == json.loads(text)
    else:
        assert "left out" in short.text


def test_rows_that_are_asked_for_stay_and_the_header_says_how_many_there_were():
    rows = [{"city": f"town {index}", "flights": index} for index in range(200)]
    rows[117]["city"] = "Lisbon"
    short = compress_tool_output(json.dumps(rows), max_tokens=80, query="How many flights to Lisbon?")
    assert short.tokens_after <= 80
    assert "Lisbon,117" in short.text
    assert re.match(r"\[\d+ of 200 rows: city,flights\n", short.text)
    assert not short.lossless
    assert any("of 200" in line for line in short.missing)


@given(
    st.lists(
        st.sampled_from(["db up in # ms", "user # in", "cache miss for #", "rare alarm @"]),
        min_size=8,
        max_size=60,
    )
)
def test_a_log_keeps_each_rare_line_and_the_first_and_last_of_the_others(kinds):
    lines = [
        f"2026-01-01 12:{index // 60:02}:{index % 60:02} INFO {kind.replace('#', str(index))}"
        for index, kind in enumerate(kinds)
    ]
    short = compress_tool_output("\n".join(lines), kind="log", count=words)
    if short.lossless:
        return  # nothing to say once, or saying so would be longer
    counts = Counter(kinds)
    for kind, times in counts.items():
        places = [index for index, other in enumerate(kinds) if other == kind]
        kept = places if times <= 2 else [places[0], places[-1]]
        for place in kept:
            assert lines[place] in short.text
        if times > 2:
            assert f"of {times}" in short.text


def test_a_log_is_known_by_its_lines():
    lines = [f"2026-01-01 12:00:{second:02} INFO request {second} took {second} ms" for second in range(30)]
    short = compress_tool_output("\n".join([*lines, "2026-01-01 12:01:00 ERROR disk full"]))
    assert short.kind == "log"
    assert "ERROR disk full" in short.text
    assert short.tokens_after < short.tokens_before / 5
    assert "28 lines" in short.missing[0]


def test_a_page_becomes_what_a_person_reads():
    short = compress_tool_output(HTML)
    assert short.kind == "html"
    assert short.text == (
        "# Returns\nYou have 30 days & a form (https://shop.example/r).\n- unused\n- with receipt\n"
        "Country | Days\nDE | 14\na\n  b"
    )


def test_a_diff_keeps_its_changes():
    short = compress_tool_output(DIFF)
    assert short.kind == "diff"
    assert short.text.split("\n")[4:] == [
        *(" … 4 unchanged lines left out", " line 4", "-old = 1", "+new = 1", " line 5"),
        " … 4 unchanged lines left out",
    ]


def test_a_trace_keeps_both_ends_and_the_error():
    frames = [
        line for index in range(40) for line in (f'  File "a.py", line {index}, in f', f"    call({index})")
    ]
    short = compress_tool_output("\n".join(["Traceback (most recent call last):", *frames, "KeyError: 'x'"]))
    assert short.kind == "trace"
    assert "line 0, in f" in short.text
    assert "call(39)" in short.text
    assert short.text.endswith("KeyError: 'x'")
    assert "lines of frames left out" in short.text


def test_progress_and_repeats_are_said_once():
    text = "\x1b[32mstart\x1b[0m\n10%\r50%\r100%\n" + "waiting\n" * 30 + "done"
    assert compress_tool_output(text).text == "start\n100%\nwaiting [30 times]\ndone"


def test_errors_outlive_the_rest_under_a_budget():
    lines = [f"step {index} went well" for index in range(300)]
    lines[150] = "FAILED tests/test_a.py::test_b - AssertionError"
    short = compress_tool_output("\n".join(lines), max_tokens=40)
    assert lines[150] in short.text
    assert "lines left out" in short.text
    assert short.tokens_after <= 40


@pytest.mark.parametrize(
    "page",
    [
        "<!doctype html><head><title>T</title><body><p>Open until 6.<p>Not on Sundays</html>",
        "<html><head><style>p {}</style><p>Open until 6.<div>Not on Sundays</div></html>",
        "<div><svg><path d='M0'><title>a clock</title><p>Open until 6.</p><p>Not on Sundays</p></div>",
    ],
)
def test_a_page_that_closes_not_all_it_opens_keeps_its_text(page):
    assert compress_tool_output(page).text == "Open until 6.\nNot on Sundays"


def test_lines_that_end_in_two_returns_are_kept():
    said = "".join(f"step {name}\r\r\n" for name in ("one", "two", "two", "two", "four"))
    assert compress_tool_output(said).text == "step one\nstep two [3 times]\nstep four\n"


def test_lossless_rewrites_json_only():
    log = "\n".join(["2026-01-01 12:00:00 INFO ok"] * 50)
    assert compress_tool_output(log, lossless=True).text == log
    assert compress_tool_output('[{"a": 1}, {"a": 2}]', lossless=True).lossless


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_tokens": 0}, "max_tokens must be 1 or more"),
        ({"max_tokens": True}, "max_tokens must be 1 or more"),
        ({"kind": "xml"}, "kind must be one of"),
        ({"form": "toon"}, "form must be"),
        ({"lossless": True, "max_tokens": 5}, "lossless=True forbids"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        compress_tool_output("text", **arguments)


def test_what_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="must be text"):
        compress_tool_output({"a": 1})


def test_many_long_strings_are_cut_together():
    notes = {f"note {index}": "x y z " * 90 for index in range(300)}
    short = compress_tool_output(json.dumps(notes), max_tokens=60_000, count=words)
    assert words(short.text) <= 60_000
    assert short.text.count("characters left out") == 300


TWICE = (
    '{ "a": 1, "a" : 2.50, "text": "two  blanks \\" and a quote", "rows": ['
    + ", ".join(f'{{ "id": {at}, "id": {at + 1}, "v": "some value {at}" }}' for at in range(40))
    + "] }"
)


def pairs(text):
    return json.loads(text, object_pairs_hook=list, parse_float=str)


def test_json_that_names_a_key_twice_keeps_both_values():
    for lossless in (True, False):
        short = compress_tool_output(TWICE, lossless=lossless)
        assert (short.kind, short.lossless, short.missing) == ("json", True, ())
        assert pairs(short.text) == pairs(TWICE)
        assert short.tokens_after < short.tokens_before


@pytest.mark.parametrize("form", ["auto", "json"])
def test_json_that_names_a_key_twice_is_never_cut_without_saying_so(form):
    short = compress_tool_output(TWICE, max_tokens=120, form=form)
    assert short.tokens_after <= 120
    assert not short.lossless
    assert "left out" in short.text
    assert short.missing
    if form == "json":
        assert "left out" in json.loads(short.text)


@pytest.mark.parametrize(
    "output", [json.dumps([{"id": at, "v": "x" * at} for at in range(60)]), "a b\n" * 99]
)
@pytest.mark.parametrize("budget", [None, 40])
def test_no_text_is_counted_twice(output, budget):
    counted = []

    def count(text):
        counted.append(text)
        return len(text)

    compress_tool_output(output, max_tokens=budget, count=count)
    assert len(counted) == len(set(counted))
