"""Every usual shape of a request with its answer gives the same call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.core.traffic.read_samples import ASKED, CHAT, NOON, lines
from tokenomics_core import Usage
from tokenomics_core.traffic import read_traffic

AT = NOON.isoformat()
SHAPES = {
    "request and response": {"timestamp": AT, "request": ASKED, "response": CHAT},
    "bodies": {"timestamp": AT, "request": {"body": ASKED}, "response": {"status_code": 200, "body": CHAT}},
    "body and response": {"timestamp": AT, "body": ASKED, "response": {"body": CHAT}},
    "JSON in text": {"timestamp": AT, "request": json.dumps(ASKED), "response": json.dumps(CHAT)},
    "flat": {"timestamp": AT, **CHAT, **ASKED, "model": CHAT["model"]},
    "keyword arguments": {"start_time": NOON.timestamp(), "kwargs": ASKED, "response": CHAT},
    "milliseconds": {"ts": int(NOON.timestamp() * 1000), "request": ASKED, "response": CHAT},
    "only the answer's own time": {"request": ASKED, "response": {**CHAT, "created": int(NOON.timestamp())}},
}


def read_one(tmp_path, row, **options):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(row))
    reader = read_traffic(path, strict=True, **options)
    (record,) = reader
    return record


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_call(tmp_path, shape):
    record = read_one(tmp_path, SHAPES[shape])
    assert record.at == NOON
    assert record.model == "gpt-4.1-nano-2025-04-14"
    assert record.usage == Usage(input_tokens=120, output_tokens=8, cache_read_tokens=64)
    assert record.messages == tuple(ASKED["messages"])
    assert (record.answer, record.finish_reason) == ("Paris.", "stop")
    assert record.settings == {"temperature": 0}
    assert record.id == "chatcmpl-1"
    assert (record.operation, record.source, record.outcome) == ("chat", "model", "ok")


def test_a_line_of_a_batch_is_priced_as_a_batch(tmp_path):
    row = {
        "id": "batch_req_1",
        "custom_id": "mine-1",
        "response": {"status_code": 200, "request_id": "r", "body": CHAT},
        "error": None,
    }
    record = read_one(tmp_path, row)
    assert record.source == "batch"
    assert record.usage.batch
    assert record.messages is None
    assert record.at == datetime.fromtimestamp(CHAT["created"], UTC)


def test_anthropic_counts_input_without_the_cache_and_we_with_it(tmp_path):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look it up."},
            {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"word": "Paris"}},
        ],
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 200,
            "output_tokens": 30,
        },
    }
    asked = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 512,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": "Capital?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t0", "name": "find", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t0", "content": "none"}]},
        ],
        "tools": [{"name": "find", "description": "Looks up.", "input_schema": {"type": "object"}}],
    }
    record = read_one(tmp_path, {"at": AT, "request": asked, "response": message})
    assert record.usage == Usage(
        input_tokens=1210, output_tokens=30, cache_read_tokens=1000, cache_write_tokens=200
    )
    assert record.answer == "I look it up."
    assert [call["function"] for call in record.tool_calls] == [
        {"name": "find", "arguments": '{"word": "Paris"}'}
    ]
    assert [message["role"] for message in record.messages] == ["system", "user", "assistant", "tool"]
    assert record.messages[0]["content"] == "Be brief."
    assert record.messages[3]["tool_call_id"] == "t0"
    assert record.tools[0]["function"]["parameters"] == {"type": "object"}
    assert record.settings == {"max_tokens": 512}
    assert record.finish_reason == "tool_use"


def test_the_responses_api_is_read_in_the_shape_of_chat(tmp_path):
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": int(NOON.timestamp()),
        "model": "gpt-4.1-nano",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Paris."}]},
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"},
        ],
        "usage": {
            "input_tokens": 50,
            "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 62,
        },
    }
    asked = {
        "model": "gpt-4.1-nano",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Capital?"}]},
            {"type": "function_call", "call_id": "c0", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c0", "output": "none"},
        ],
        "max_output_tokens": 99,
        "tools": [{"type": "function", "name": "find", "parameters": {"type": "object"}}],
    }
    record = read_one(tmp_path, {"request": asked, "response": response})
    assert record.usage == Usage(input_tokens=50, output_tokens=12, cache_read_tokens=20, reasoning_tokens=4)
    assert (record.answer, record.finish_reason) == ("Paris.", "tool_calls")
    assert [(message["role"], message["content"]) for message in record.messages] == [
        ("system", "Be brief."),
        ("user", "Capital?"),
        ("assistant", None),
        ("tool", "none"),
    ]
    assert record.settings == {"max_tokens": 99}
    assert record.tool_calls[0]["id"] == "c1"
    assert record.tools[0] == {
        "type": "function",
        "function": {"name": "find", "parameters": {"type": "object"}},
    }


def test_gemini_is_read_in_the_shape_of_chat(tmp_path):
    asked = {
        "contents": [{"role": "user", "parts": [{"text": "Capital?"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 20, "temperature": 0},
    }
    response = {
        "modelVersion": "gemini-2.5-flash",
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Paris."}]}, "finishReason": "STOP"},
        ],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 16,
        },
    }
    record = read_one(tmp_path, {"at": AT, "request": asked, "response": response})
    assert record.model == "gemini-2.5-flash"
    assert record.usage == Usage(input_tokens=9, output_tokens=7, reasoning_tokens=5)
    assert [message["content"] for message in record.messages] == ["Be brief.", "Capital?"]
    assert (record.answer, record.finish_reason) == ("Paris.", "STOP")
    assert record.settings == {"max_tokens": 20, "temperature": 0}


@pytest.mark.parametrize(
    ("response", "text", "reason", "usage"),
    [
        (
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "Paris."}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100},
            },
            *("Paris.", "end_turn", {"input_tokens": 110, "output_tokens": 5, "cache_read_tokens": 100}),
        ),
        (
            {
                "message": {"role": "assistant", "content": "Paris."},
                "done_reason": "stop",
                "prompt_eval_count": 10,
                "eval_count": 5,
            },
            *("Paris.", "stop", {"input_tokens": 10, "output_tokens": 5}),
        ),
        (
            {
                "object": "text_completion",
                "choices": [{"text": "Paris.", "finish_reason": "length"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            },
            *("Paris.", "length", {"input_tokens": 10, "output_tokens": 5}),
        ),
    ],
    ids=["Converse", "Ollama", "completion"],
)
def test_other_answers_are_read_in_the_shape_of_chat(tmp_path, response, text, reason, usage):
    record = read_one(tmp_path, {"at": AT, "request": ASKED, "response": response})
    assert (record.answer, record.finish_reason) == (text, reason)
    assert record.usage == Usage(**usage)


def test_the_chunks_of_a_stream_are_put_together(tmp_path):
    def chunk(delta, reason=None, **more):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"object": "chat.completion.chunk", "model": "gpt-4.1-nano", "choices": [choice], **more}

    stream = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Par"}),
        chunk({"content": "is."}),
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "find", "arguments": "{"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}, "tool_calls"),
        {
            **chunk({}),
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
        },
    ]
    record = read_one(tmp_path, {"at": AT, "request": ASKED, "response": stream})
    assert (record.answer, record.finish_reason) == ("Paris.", "tool_calls")
    assert record.tool_calls[0]["function"] == {"name": "find", "arguments": "{}"}
    assert record.usage == Usage(input_tokens=5, output_tokens=3)


def test_who_a_call_is_for_is_found_in_the_line_and_in_metadata(tmp_path):
    row = {
        "at": AT,
        "user_id": 42,
        "request": {
            **ASKED,
            "user": "ignored",
            "metadata": {"feature": "search", "plan": "free", "Session_ID": "s"},
        },
        "response": CHAT,
        "metadata": {"app": "shop", "trace_id": "t", "essay": "x" * 500},
    }
    who = read_one(tmp_path, row).attribution
    assert (who.user, who.feature, who.project, who.conversation, who.run) == (
        "42",
        "search",
        "shop",
        "s",
        "t",
    )
    assert who.tags == {"plan": "free"}


def test_tags_may_be_a_mapping_or_a_list(tmp_path):
    for tags in ({"plan": "free", "beta": "true"}, ["plan:free", "beta"]):
        record = read_one(tmp_path, {"at": AT, "request": ASKED, "response": CHAT, "tags": tags})
        assert record.attribution.tags == {"plan": "free", "beta": "true"}


def test_the_user_of_the_request_counts_and_is_no_setting(tmp_path):
    record = read_one(tmp_path, {"at": AT, "request": {**ASKED, "user": "ada"}, "response": CHAT})
    assert record.attribution.user == "ada"
    assert "user" not in record.settings


def test_keys_and_ways_of_delivery_are_no_settings(tmp_path):
    asked = {
        **ASKED,
        "api_key": "sk-secret",
        "stream": True,
        "extra_headers": {"authorization": "x"},
        "timeout": 3,
    }
    record = read_one(tmp_path, {"at": AT, "request": asked, "response": CHAT})
    assert record.settings == {"temperature": 0}


@pytest.mark.parametrize(
    ("told", "outcome", "error"),
    [
        ({"error": {"message": "too many requests", "code": 429}}, "error", "too many requests"),
        ({"response": {"status_code": 500, "body": {}}}, "error", "HTTP status 500"),
        ({"status": "cancelled"}, "cancelled", None),
        ({"outcome": "aborted", "response": CHAT}, "aborted", None),
    ],
)
def test_calls_that_failed_are_told_from_others(tmp_path, told, outcome, error):
    record = read_one(tmp_path, {"at": AT, "request": ASKED, **told})
    assert (record.outcome, record.error) == (outcome, error)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"cost_usd": 0.0123}, Decimal("0.0123")),
        ({"cost": "$0.5"}, Decimal("0.5")),
        ({"response": {**CHAT, "usage": {**CHAT["usage"], "cost": 0.00014}}}, Decimal("0.00014")),
        ({}, None),
        ({"cost": -1}, None),
        ({"cost": "free"}, None),
    ],
)
def test_the_cost_is_what_the_log_says_and_unknown_is_none(tmp_path, told, cost):
    assert read_one(tmp_path, {"at": AT, "request": ASKED, "response": CHAT, **told}).cost_usd == cost


@pytest.mark.parametrize(
    ("told", "latency_s"),
    [
        ({"latency_ms": 250}, 0.25),
        ({"duration_s": 2}, 2.0),
        ({"duration_s": -2}, None),
        ({"end_time": "2026-11-03T12:00:01.5+00:00"}, 1.5),
        ({"end_time": "2026-11-03T11:00:00+00:00"}, None),
        ({}, None),
    ],
)
def test_latency_is_in_seconds(tmp_path, told, latency_s):
    assert read_one(tmp_path, {"at": AT, "request": ASKED, "response": CHAT, **told}).latency_s == latency_s


def test_an_embedding_is_not_a_chat(tmp_path):
    response = {"object": "list", "data": [], "model": "text-embedding-3-small", "usage": {"total_tokens": 7}}
    asked = {"model": "text-embedding-3-small", "input": ["one", "two"]}
    record = read_one(tmp_path, {"at": AT, "request": asked, "response": response})
    assert record.operation == "embedding"
    assert record.usage == Usage(input_tokens=7)


def test_usage_that_nobody_reported_is_unknown_and_not_zero(tmp_path):
    record = read_one(tmp_path, {"at": AT, "request": ASKED, "response": "Paris."})
    assert record.usage == Usage()
    assert record.answer == "Paris."


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"request": ASKED}, "it tells no time"),
        ({"at": AT, "request": {"messages": []}}, "it names no model"),
        ({"at": "yesterday", "request": ASKED}, "'yesterday' is no time"),
        ({"at": True, "request": ASKED}, "True is no time"),
        ({"at": 7, "request": ASKED}, "7 is no time"),
    ],
)
def test_a_line_without_time_or_model_is_bad_and_says_why(tmp_path, row, reason):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(SHAPES["flat"], row))
    reader = read_traffic(path)
    assert len(list(reader)) == 1
    assert reader.bad == 1
    assert f"{path}:2: {reason}" in reader.problems[0]
