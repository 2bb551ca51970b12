"""Folding leaves out what repeats and never what changes, fails or stands alone."""

import difflib
import re

from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.compression import compress_tool_output

LINES = st.lists(st.text(alphabet="abcdef (){}=1", max_size=12), max_size=60)


def words(text):
    """Count words and marks; what counts tokens must not matter."""
    return len(re.findall(r"\w+|[^\w\s]", text))


@given(LINES, LINES)
def test_a_diff_keeps_every_change_in_order(old, new):
    diff = list(difflib.unified_diff(old, new, "a.py", "b.py", lineterm="", n=8))
    short = compress_tool_output("\n".join(diff), kind="diff", count=words).text.split("\n")
    changes = [line for line in diff if line[:1] in ("+", "-", "@")]
    rest = iter(short)
    assert all(line in rest for line in changes)
    told = sum(int(line.split()[1]) for line in short if line.startswith(" … "))
    assert len([line for line in short if not line.startswith(" … ")]) + told == len(diff or [""])


FRAMES = {
    "python": lambda n: f'  File "/app/module_{n}.py", line {n}, in call_{n}\n    return call_{n + 1}()',
    "java": lambda n: f"\tat com.example.Service{n}.call(Service{n}.java:{n})",
    "node": lambda n: f"    at call{n} (/app/src/module{n}.js:{n}:7)",
}


@given(
    st.sampled_from(sorted(FRAMES)),
    st.integers(1, 60),
    st.lists(st.sampled_from(["ValueError: x", "Caused by: y"]), min_size=1, max_size=3),
)
def test_a_trace_keeps_its_ends_and_every_line_that_is_no_frame(language, depth, errors):
    frames = [FRAMES[language](number) for number in range(depth)]
    parts = ["Traceback (most recent call last):"]
    for error in errors:
        parts += [*frames, error]
    short = compress_tool_output("\n".join(parts), kind="trace", count=words).text.split("\n")
    assert [line for line in short if line in errors] == errors
    assert short[0] == parts[0]
    for end in (frames[0], frames[-1]):
        assert end.split("\n")[0] in short
    if depth > 30:
        assert len(short) < len("\n".join(parts).split("\n"))


@given(st.lists(st.sampled_from(["a", "b", "c", "a 1", "a 2"]), max_size=40))
def test_other_text_says_runs_once_and_can_be_said_again(lines):
    short = compress_tool_output("\n".join(lines), kind="text", count=words).text
    told = []
    for line in short.split("\n"):
        run = re.fullmatch(r"(.*) \[(\d+) times\]", line)
        told += [run[1]] * int(run[2]) if run else [line]
    assert told == (lines or [""])


@given(st.text(alphabet="<>/abp !-&;=\"'", max_size=80))
def test_no_page_is_too_broken_to_be_read(page):
    short = compress_tool_output(f"<html><body>{page}</body></html>", kind="html", count=len)
    assert short.tokens_after <= short.tokens_before


def test_kinds_are_told_apart():
    java = "java.lang.IllegalStateException: closed\n" + "\n".join(map(FRAMES["java"], range(30)))
    syslog = "\n".join(f"Nov 21 10:00:{n:02} host sshd[{n}]: Accepted key for user{n}" for n in range(20))
    levels = "\n".join(f"worker{n} INFO step {n} done" for n in range(20))
    assert compress_tool_output(java).kind == "trace"
    assert compress_tool_output(syslog).kind == "log"
    assert compress_tool_output(levels).kind == "log"
    assert compress_tool_output("<!DOCTYPE html><p>Hi</p>").kind == "html"
    assert compress_tool_output("Just a sentence, 2024-01-01.").kind == "text"
    assert compress_tool_output('{"a": [1, 2}').kind == "text"
