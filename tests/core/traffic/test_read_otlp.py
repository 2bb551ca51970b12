"""Spans of every generation of the GenAI conventions give the same call."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.core.traffic.read_samples import NOON, lines
from tokenomics_core import Usage
from tokenomics_core.traffic import read_traffic

START = int(NOON.timestamp()) * 10**9
ASKED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Paris?"},
]
ARGUMENTS = '{"city": "Paris"}'


def wrap(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [wrap(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": k, "value": wrap(v)} for k, v in value.items()]}}
    return {"stringValue": value}


def pairs(values):
    return [{"key": key, "value": wrap(value)} for key, value in values.items()]


def span(attributes, events=(), **more):
    return {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "name": "chat small",
        "kind": 3,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 1_500_000_000),
        "attributes": pairs(attributes),
        "events": [{"name": name, "timeUnixNano": str(START), "attributes": pairs(v)} for name, v in events],
        **more,
    }


def batch(*spans, service="shop"):
    resource = {"attributes": pairs({"service.name": service})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def read(tmp_path, *rows):
    path = tmp_path / "spans.jsonl"
    path.write_bytes(lines(*rows))
    reader = read_traffic(path, strict=True)
    return list(reader)


REQUEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "small",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 50,
    "gen_ai.request.stop_sequences": ["END"],
    "gen_ai.response.model": "small-2026",
    "gen_ai.response.finish_reasons": ["tool_calls"],
}
COUNTS = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20}
OLD_COUNTS = {"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 20}
PARTS = {
    "gen_ai.provider.name": "openai",
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "text", "content": "I look."},
                    {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"city": "Paris"}},
                ],
                "finish_reason": "tool_calls",
            }
        ]
    ),
}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": ARGUMENTS}}
GENERATIONS = {
    "attributes of 1.37 and later": (COUNTS | PARTS, ()),
    "structured attributes": (
        COUNTS
        | {name: json.loads(value) if value.startswith("[") else value for name, value in PARTS.items()},
        (),
    ),
    "one event with the details": (
        COUNTS | {"gen_ai.provider.name": "openai"},
        [("gen_ai.client.inference.operation.details", PARTS)],
    ),
    "an event per message": (
        COUNTS | {"gen_ai.system": "openai"},
        [
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": "Weather in Paris?"}),
            (
                "gen_ai.choice",
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": json.dumps({"content": "I look.", "tool_calls": [TOOL_CALL]}),
                },
            ),
        ],
    ),
    "an event for prompt and completion": (
        OLD_COUNTS | {"gen_ai.system": "openai"},
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(ASKED)}),
            (
                "gen_ai.content.completion",
                {
                    "gen_ai.completion": json.dumps(
                        [{"role": "assistant", "content": "I look.", "tool_calls": [TOOL_CALL]}]
                    )
                },
            ),
        ],
    ),
    "numbered attributes": (
        OLD_COUNTS
        | {
            "gen_ai.system": "openai",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Weather in Paris?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "I look.",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "c1",
            "gen_ai.completion.0.tool_calls.0.name": "find",
            "gen_ai.completion.0.tool_calls.0.arguments": ARGUMENTS,
        },
        (),
    ),
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_of_the_conventions_gives_the_same_call(tmp_path, generation):
    attributes, events = GENERATIONS[generation]
    (record,) = read(tmp_path, batch(span(REQUEST | attributes, events)))
    assert (record.at, record.latency_s) == (NOON, 1.5)
    assert (record.model, record.provider) == ("small-2026", "openai")
    assert record.usage == Usage(input_tokens=100, output_tokens=20)
    assert [(message["role"], message["content"]) for message in record.messages] == [
        ("system", "Be brief."),
        ("user", "Weather in Paris?"),
    ]
    assert record.answer == "I look."
    assert [call["function"] for call in record.tool_calls] == [{"name": "find", "arguments": ARGUMENTS}]
    assert record.settings == {"temperature": 0.5, "max_tokens": 50, "stop": ["END"]}
    assert record.finish_reason == "tool_calls"
    assert record.attribution.project == "shop"
    assert record.attribution.run == "a" * 32


def snake(told):
    names = {
        "traceId": "trace_id",
        "spanId": "span_id",
        "startTimeUnixNano": "start_time_unix_nano",
        "endTimeUnixNano": "end_time_unix_nano",
    }
    text = json.dumps({names.get(name, name): value for name, value in told.items()})
    for name in ("string", "int", "double", "array"):
        text = text.replace(f'"{name}Value"', f'"{name}_value"')
    return json.loads(text)


def printed(told):
    return {
        "name": told["name"],
        "context": {
            "trace_id": "0x" + told["traceId"],
            "span_id": "0x" + told["spanId"],
            "trace_state": "[]",
        },
        "kind": "SpanKind.CLIENT",
        "parent_id": None,
        "start_time": "2026-11-03T12:00:00.000000Z",
        "end_time": "2026-11-03T12:00:01.500000Z",
        "status": {"status_code": "UNSET"},
        "attributes": REQUEST | COUNTS | PARTS,
        "events": [],
        "links": [],
        "resource": {"attributes": {"service.name": "shop"}, "schema_url": ""},
    }


@pytest.mark.parametrize(
    "shape",
    [
        batch,
        lambda told: batch(told)["resourceSpans"][0],
        lambda told: {"resource_spans": [{"scope_spans": [{"spans": [snake(told)]}]}]},
        lambda told: told,
        printed,
    ],
    ids=["OTLP", "one resource", "names with underscores", "one span", "as the SDK prints it"],
)
def test_every_envelope_gives_the_same_call(tmp_path, shape):
    (record,) = read(tmp_path, shape(span(REQUEST | COUNTS | PARTS)))
    assert record.usage == Usage(input_tokens=100, output_tokens=20)
    assert (record.at, record.latency_s, record.answer) == (NOON, 1.5, "I look.")


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {"cache_read.input_tokens": 60, "cache_creation.input_tokens": 30, "reasoning.output_tokens": 5},
            {"cache_read_tokens": 60, "cache_write_tokens": 30, "reasoning_tokens": 5},
        ),
        (
            {"cache_read_input_tokens": 60, "cache_creation_input_tokens": 30},
            {"cache_read_tokens": 60, "cache_write_tokens": 30},
        ),
        ({"details.cache_read_tokens": 60}, {"cache_read_tokens": 60}),
    ],
)
def test_input_includes_the_cache(tmp_path, told, usage):
    counts = COUNTS | {f"gen_ai.usage.{name}": value for name, value in told.items()}
    (record,) = read(tmp_path, batch(span(REQUEST | counts)))
    assert record.usage == Usage(input_tokens=100, output_tokens=20, **usage)


def test_counts_that_leave_the_cache_out_are_mended(tmp_path):
    counts = COUNTS | {"gen_ai.usage.cache_read_input_tokens": 1000}
    (record,) = read(tmp_path, batch(span(REQUEST | counts)))
    assert (record.usage.input_tokens, record.usage.cache_read_tokens) == (1100, 1000)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"gen_ai.usage.cost": 0.25}, Decimal("0.25")),
        ({"gen_ai.usage.cost.amount": 0.25, "gen_ai.usage.cost.currency": "USD"}, Decimal("0.25")),
        ({"gen_ai.usage.cost.amount": 0.25, "gen_ai.usage.cost.currency": "EUR"}, None),
    ],
)
def test_a_cost_is_taken_in_dollars_alone(tmp_path, told, cost):
    (record,) = read(tmp_path, batch(span(REQUEST | COUNTS | told)))
    assert record.cost_usd == cost


def test_a_span_that_failed_says_why(tmp_path):
    failed = span(
        REQUEST,
        [("exception", {"exception.message": "too many requests", "exception.type": "E"})],
        status={"code": 2, "message": "E"},
    )
    (record,) = read(tmp_path, batch(failed))
    assert (record.outcome, record.error) == ("error", "too many requests")


def test_spans_that_are_no_calls_are_left_out(tmp_path):
    others = [
        span({"http.method": "GET"}, spanId="1" * 16),
        span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}, spanId="2" * 16),
        span(REQUEST | {"gen_ai.operation.name": "invoke_agent"}, spanId="3" * 16),
        span(REQUEST | {"gen_ai.operation.name": "create_agent"} | COUNTS, spanId="4" * 16),
    ]
    path = tmp_path / "spans.jsonl"
    path.write_bytes(lines(batch(*others, span(REQUEST | COUNTS))))
    reader = read_traffic(path, strict=True)
    assert len(list(reader)) == 1
    assert reader.skipped == 4


def test_a_framework_around_the_client_is_counted_once_over_two_files(tmp_path):
    outer = span(REQUEST | COUNTS | PARTS | {"user.id": "ada"}, spanId="c" * 16)
    inner = span(REQUEST | COUNTS, parentSpanId="c" * 16)
    for number, told in enumerate((inner, outer)):
        (tmp_path / f"{number}.json").write_text(json.dumps(batch(told), indent=number))
    reader = read_traffic(tmp_path, strict=True)
    (record,) = reader
    assert record.id == "b" * 16
    assert (record.answer, record.attribution.user) == ("I look.", "ada")
    assert (reader.rows, reader.skipped) == (1, 1)


def log(name, body=None, attributes=None, **more):
    told = {"timeUnixNano": str(START), "traceId": "a" * 32, "spanId": "b" * 16, "eventName": name}
    told |= {"attributes": pairs(attributes or {}), **more}
    return told if body is None else told | {"body": wrap(body)}


def logs(*records):
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"logRecords": list(records)}]}]}


SAID = [
    log("gen_ai.system.message", {"content": "Be brief."}),
    log("gen_ai.user.message", {"content": "Weather in Paris?"}),
    log(
        "gen_ai.choice",
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "I look.", "tool_calls": [TOOL_CALL]},
        },
    ),
]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize(
    "told",
    [
        SAID,
        [
            {**record, "eventName": "", "attributes": pairs({"event.name": record["eventName"]})}
            for record in SAID
        ],
        [log("gen_ai.client.inference.operation.details", attributes=PARTS)],
    ],
    ids=["an event per message", "named by an attribute", "one event with the details"],
)
def test_messages_that_are_logged_beside_a_span_find_it(tmp_path, told, order):
    others = [log("http.request", {"x": 1}), log("gen_ai.user.message", {"content": "lost"}, spanId="9" * 16)]
    rows = [logs(*others, *told), batch(span(REQUEST | COUNTS))]
    (record,) = read(tmp_path, *(rows[number] for number in order))
    assert [(message["role"], message["content"]) for message in record.messages] == [
        ("system", "Be brief."),
        ("user", "Weather in Paris?"),
    ]
    assert (record.answer, record.finish_reason) == ("I look.", "tool_calls")
    assert [call["function"] for call in record.tool_calls] == [{"name": "find", "arguments": ARGUMENTS}]


def test_embeddings_and_completions_are_told_apart(tmp_path):
    told = {"gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 9}
    kinds = ("embeddings", "text_completion", "generate_content")
    spans = [
        span(told | {"gen_ai.operation.name": kind}, spanId=f"{number}" * 16)
        for number, kind in enumerate(kinds)
    ]
    assert [record.operation for record in read(tmp_path, batch(*spans))] == [
        "embedding",
        "completion",
        "chat",
    ]


def test_a_span_without_an_id_is_bad(tmp_path):
    path = tmp_path / "spans.jsonl"
    path.write_bytes(lines(batch(span(REQUEST)), batch({"name": "x", "attributes": []})))
    reader = read_traffic(path)
    assert len(list(reader)) == 1
    assert reader.problems[0].startswith(f"{path}:2: a span has no id")
