"""With a secret nobody is named, equal values stay equal, and another secret tells nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from tests.core.traffic.read_samples import ASKED, CHAT, call, lines, traffic
from tokenomics_core import Attribution
from tokenomics_core.traffic import read_traffic, write_traffic
from tokenomics_core.traffic._readers_write import line_of

SECRET = "a secret of at least sixteen bytes"
EVERYTHING = ("user", "feature", "project", "conversation", "run", "tags", "id", "parent", "messages")
MARK = "QXJZ"


def read(tmp_path, records, **options):
    path = tmp_path / "log.jsonl"
    write_traffic(records, path)
    return list(read_traffic(path, hash_secret=SECRET, **options))


@given(record=traffic())
def test_no_text_that_was_hashed_is_left_anywhere(record, tmp_path_factory):
    def marked(value):
        return None if value is None else f"{MARK}{value}"

    def everywhere(value):
        if isinstance(value, str):
            return f"{MARK}{value}"
        if isinstance(value, dict):
            kept = ("role", "type", "id", "tool_call_id")
            return {k: v if k in kept else everywhere(v) for k, v in value.items()}
        return [everywhere(item) for item in value] if isinstance(value, list) else value

    def everywhere_but_names(calls):
        return tuple(
            {**item, "function": {**item["function"], "arguments": marked(item["function"]["arguments"])}}
            for item in calls
        )

    who = record.attribution
    told = replace(
        record,
        attribution=Attribution(
            **{name: marked(getattr(who, name)) for name in EVERYTHING[:5]},
            tags={name: marked(value) for name, value in who.tags.items()},
        ),
        id=marked(record.id),
        parent=marked(record.parent),
        answer=marked(record.answer),
        error=marked(record.error),
        messages=None
        if record.messages is None
        else tuple(
            {
                **everywhere({k: v for k, v in message.items() if k != "tool_calls"}),
                **(
                    {"tool_calls": list(everywhere_but_names(message["tool_calls"]))}
                    if "tool_calls" in message
                    else {}
                ),
            }
            for message in record.messages
        ),
        tool_calls=everywhere_but_names(record.tool_calls),
        settings={k: everywhere(v) if k == "stop" else v for k, v in record.settings.items()},
    )
    (hashed,) = read(tmp_path_factory.mktemp("log"), [told], hash_fields=EVERYTHING)
    assert MARK in line_of(told)
    assert MARK not in line_of(hashed)
    assert (hashed.at, hashed.model, hashed.usage, hashed.cost_usd) == (
        told.at,
        told.model,
        told.usage,
        told.cost_usd,
    )


def test_by_default_users_alone_are_hashed(tmp_path):
    who = Attribution(user="ada", feature="search", conversation="c", tags={"plan": "free"})
    (hashed,) = read(tmp_path, [call(1, attribution=who)])
    assert hashed.attribution == replace(who, user=hashed.attribution.user)
    assert len(hashed.attribution.user) == 32
    assert set(hashed.attribution.user) <= set("0123456789abcdef")
    assert hashed.messages == call(1).messages


def test_equal_users_stay_equal_in_all_logs_and_others_differ(tmp_path):
    calls = [call(n, attribution=Attribution(user=user)) for n, user in enumerate(("ada", "bob", "ada"))]
    first, second, third = (record.attribution.user for record in read(tmp_path, calls))
    assert first == third != second
    (again,) = read(tmp_path, [call(9, attribution=Attribution(user="bob"))])
    assert again.attribution.user == second


def test_another_secret_and_another_field_give_other_digests(tmp_path):
    who = Attribution(user="ada", conversation="ada")
    path = tmp_path / "log.jsonl"
    write_traffic([call(1, attribution=who)], path)
    digests = set()
    for secret in (SECRET, SECRET.encode() + b"!"):
        (record,) = read_traffic(path, hash_secret=secret, hash_fields=("user", "conversation"))
        digests |= {record.attribution.user, record.attribution.conversation}
    assert len(digests) == 4


def test_repeated_questions_are_still_found_and_lengths_stay_near(tmp_path):
    said = {"role": "user", "content": "What is it?" * 20}
    calls = [call(1, messages=(said,)), call(2, messages=(said,)), call(3)]
    first, second, third = read(tmp_path, calls, hash_fields=("messages",))
    assert first.messages == second.messages != third.messages
    assert first.messages[0]["role"] == "user"
    assert len(first.messages[0]["content"]) == 256  # the next power of two after 220
    assert first.attribution == calls[0].attribution


def test_chosen_tags_alone_can_be_hashed(tmp_path):
    who = Attribution(tags={"email": "ada@example.org", "plan": "free"})
    (hashed,) = read(tmp_path, [call(1, attribution=who)], hash_fields=("tags.email",))
    assert hashed.attribution.tags["plan"] == "free"
    assert len(hashed.attribution.tags["email"]) == 32


def test_structure_that_costs_are_reckoned_by_is_kept(tmp_path):
    calls = ({"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"who": "ada"}'}},)
    settings = {
        "temperature": 0.5,
        "max_tokens": 9,
        "response_format": {"type": "json_object"},
        "stop": ["Ada"],
    }
    (hashed,) = read(tmp_path, [call(1, tool_calls=calls, settings=settings)], hash_fields=("messages",))
    assert hashed.tool_calls[0]["function"]["name"] == "find"
    assert "ada" not in hashed.tool_calls[0]["function"]["arguments"]
    assert {name: hashed.settings[name] for name in ("temperature", "max_tokens", "response_format")} == {
        name: settings[name] for name in ("temperature", "max_tokens", "response_format")
    }
    assert hashed.settings["stop"] != ["Ada"]


def test_bad_lines_are_counted_but_not_quoted(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        lines({"at": "2026-11-03T12:00:00Z", "request": {**ASKED, "user": "ada"}, "response": CHAT})
        + b'{"user": "ada\n'
        + lines(
            {"request": {"user": "ada"}},
            {"at": "ada", "request": ASKED},
            {
                "at": "2026-11-03T12:00:00Z",
                "request": ASKED,
                "attribution": {"user": ["ada"]},
                "tokenomics": 1,
            },
            {"at": ["ada"], "request": ASKED},
        )
    )
    reader = read_traffic(path, hash_secret=SECRET)
    assert len(list(reader)) == 1
    assert reader.bad == 5
    assert all(problem.startswith(f"{path}:") for problem in reader.problems)
    assert "ada" not in str(reader.problems).replace(str(path), "")


def test_a_file_in_no_known_format_is_not_quoted_either(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"email": "ada@example.org"}\n')
    try:
        list(read_traffic(path, hash_secret=SECRET))
    except ValueError as error:
        assert "ada@" not in str(error)  # noqa: PT017 - that it raises is tested elsewhere
