"""Where sentences and units begin and end."""

# ruff: noqa: RUF001 - letters and marks of other scripts are meant

import pytest

from tokenomics_core.compression._document import title_end
from tokenomics_core.compression._language import is_english
from tokenomics_core.compression._split import sentence_spans
from tokenomics_core.compression._terms import stem, words_of
from tokenomics_core.compression._units import layout_of


def sentences(text):
    return [text[start:end] for start, end in sentence_spans(text)]


def units(text):
    return [(unit.kind, text[unit.start : unit.end]) for unit in layout_of(text).units]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith left the U.S. The U.S. Army stayed.",
            ["Dr. Smith left the U.S.", "The U.S. Army stayed."],
        ),
        ("J. K. Rowling wrote it. Yes!", ["J. K. Rowling wrote it.", "Yes!"]),
        ("It cost 3.5 million, i.e. much. Next.", ["It cost 3.5 million, i.e. much.", "Next."]),
        ("Seen in 1990.[3] Then [4].", ["Seen in 1990.[3]", "Then [4]."]),
        ("Am 1. August 1963 begann es. Z.B. so.", ["Am 1. August 1963 begann es.", "Z.B. so."]),
        ('"Who?" he asked. "Me." She left.', ['"Who?" he asked.', '"Me."', "She left."]),
        ("港口关闭了。“为什么？”他问。", ["港口关闭了。", "“为什么？”", "他问。"]),
        ("क्या हुआ। कुछ नहीं।", ["क्या हुआ।", "कुछ नहीं।"]),
        ("ماذا حدث؟ لا شيء.", ["ماذا حدث؟", "لا شيء."]),
        (
            "Порт закрыли в 1921 г. без вести. Потом открыли.",
            ["Порт закрыли в 1921 г. без вести.", "Потом открыли."],
        ),
        ("One.\n\nTwo", ["One.", "Two"]),
        ("Short line\nOther line", ["Short line", "Other line"]),
    ],
)
def test_prose_is_cut_where_sentences_end(text, expected):
    assert sentences(text) == expected


def test_a_wrapped_line_goes_on():
    text = "This line was wrapped by an editor at about seventy characters and\ngoes on. New sentence."
    assert len(sentences(text)) == 2


def test_an_endless_sentence_is_cut_at_a_mark_or_blank():
    text = "word, " * 1_000
    assert all(len(part) <= 1_500 for part in sentences(text))
    assert len(sentences("x" * 4_000)) == 3


def test_markdown_is_cut_into_blocks():
    text = "# A\nIntro. More.\n\nSteps:\n- one. Two.\n- three\n  goes on\n\n"
    text += "```\na. B\n\n# c\n```\n\n|x|y|\n|-|-|\n|1|2|\n"
    assert units(text) == [
        ("heading", "# A"),
        ("sentence", "Intro."),
        ("sentence", "More."),
        ("lead", "Steps:"),
        ("item", "- one. Two."),
        ("item", "- three\n  goes on"),
        ("code", "```\na. B\n\n# c\n```"),
        ("table", "|x|y|\n|-|-|"),
        ("row", "|1|2|"),
    ]
    layout = layout_of(text)
    assert layout.units[4].heads == (0, 3)
    assert layout.units[-1].heads == (0, 7)


def test_headings_nest_by_level():
    layout = layout_of("# A\nx\n## B\ny\n## C\nz\n# D\nw")
    assert [unit.heads for unit in layout.units if unit.kind == "sentence"] == [(0,), (0, 2), (0, 4), (6,)]


def test_a_fence_that_never_closes_goes_on_to_the_end():
    assert units("Look:\n```\na\n\nb.\nC")[-1] == ("code", "```\na\n\nb.\nC")


def test_log_entries_keep_the_lines_that_follow_them():
    lines = [f"2024-01-01 10:00:0{at} INFO step {at}" for at in range(7)]
    text = "\n".join([*lines, "Traceback (most recent call last):", "  File x", "OSError: full"])
    assert [kind for kind, _ in units(text)] == ["line"] * 7
    assert units(text)[-1][1].endswith("OSError: full")


def test_code_is_cut_between_definitions():
    text = "import os\n\n\ndef one():\n    x = 1\n\n    return x\n\n\ndef two():\n    return one()\n"
    assert [said.split("\n")[0] for _, said in units(text)] == ["import os", "def one():", "def two():"]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('[1, {"a": [2]}, "x, y"]', ["1", '{"a": [2]}', '"x, y"']),
        ('{"a": 1, "b": [2, 3]}', ['"a": 1', '"b": [2, 3]']),
        ('{"ok": true, "rows": [{"id": 1}, {"id": 2}, {"id": 3}]}', ['{"id": 1}', '{"id": 2}', '{"id": 3}']),
    ],
)
def test_json_is_cut_into_records(text, records):
    assert [said for _, said in units(text)] == records


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (
            "Climate of Venezuela\nThe climate of Venezuela is tropical and does not change.",
            "Climate of Venezuela",
        ),
        ("Pluto (mythology)\n\nA god.", "Pluto (mythology)"),
        ("The port was closed.\nNobody came to see it when it opened again.", ""),
        ("- item\nThe port was closed and nobody came to see it.", ""),
        ("2024-01-01 INFO start\nA much longer line than the one above it, by far.", ""),
        ("only one line", ""),
    ],
)
def test_a_first_line_is_a_title_where_it_stands_over_longer_ones(text, title):
    assert text[: title_end(text)] == title


def test_words_fold_endings_accents_and_scripts():
    assert stem("elections") == stem("election")
    assert stem("running") == stem("run")
    assert stem("Präsidenten".lower()) == stem("prasident")
    assert words_of("港口关闭") == ["港口", "口关", "关闭"]
    assert words_of("It's 3.5m, COVID-19") == ["it's", "3", "5m", "covid", "19"]


def test_languages_are_told_apart():
    english = words_of("The port of the town was closed by the state in that year and it is not open " * 3)
    german = words_of(
        "Der Hafen der Stadt wurde in diesem Jahr vom Staat geschlossen und ist nicht offen " * 3
    )
    assert is_english([english])
    assert not is_english([german])
    assert not is_english([words_of("港口于1921年关闭")])
    assert not is_english([])


def test_a_long_leader_takes_no_time_of_its_square():
    text = f"Contents{'.' * 500_000}7 Then comes the end."
    assert sentence_spans(text)[-1][1] == len(text)
