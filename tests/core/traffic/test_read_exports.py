"""What each tool exports gives the calls that were made: the totals here are counted by hand.

Every file tells of the same three calls of gpt-4.1-nano (see README.md beside them): one of 120 input tokens,
64 of them cached, and 8 output tokens; one of 90 and 20 that calls a tool; one that was refused. A million
tokens cost $0.10, cached $0.025, output $0.40: 56 x 0.10 + 64 x 0.025 + 8 x 0.40 = 10.4 millionths of a
dollar, and 90 x 0.10 + 20 x 0.40 = 17.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic import read_traffic, split_traffic

EXPORTS = Path(__file__).parent / "exports"
DATED = "gpt-4.1-nano-2025-04-14"

FORMAT_OF = {
    "helicone.jsonl": "helicone",
    "helicone.csv": "helicone",
    "langfuse_blob.csv": "langfuse",
    "langfuse_blob.jsonl": "langfuse",
    "langfuse_observations.json": "langfuse",
    "langfuse_sdk_otlp.json": "otlp",
    "langsmith_runs.jsonl": "langsmith",
    "litellm_payload.jsonl": "litellm",
    "litellm_spend_logs.csv": "litellm",
    "litellm_spend_logs.jsonl": "litellm",
    "openinference_otlp.jsonl": "otlp",
    "otlp_genai.json": "otlp",
    "otlp_genai_events.jsonl": "otlp",
    "phoenix_frame.csv": "phoenix",
    "phoenix_frame.parquet": "phoenix",
    "phoenix_spans.jsonl": "phoenix",
}
LOSES_CACHE = {
    "otlp_genai.json",
    "otlp_genai_events.jsonl",
    "helicone.csv",
}  # what they leave out is said in the README
LOSES_CONTENT = {"litellm_spend_logs.csv", "litellm_spend_logs.jsonl"}
LOSES_ANSWER = {"helicone.csv", *LOSES_CONTENT}
LOSES_FAILURE = LOSES_CONTENT
LOSES_TOOLS = {"otlp_genai.json", "otlp_genai_events.jsonl", *LOSES_CONTENT}
LOSES_TAGS = {"otlp_genai.json", "otlp_genai_events.jsonl"}
TELLS_FINISH = {
    *("helicone.jsonl", "langsmith_runs.jsonl", "litellm_payload.jsonl", "otlp_genai.json"),
    "otlp_genai_events.jsonl",
    *("openinference_otlp.jsonl", "phoenix_frame.csv", "phoenix_frame.parquet", "phoenix_spans.jsonl"),
}
FEATURE = {"otlp_genai.json": "trip planner"}


@pytest.fixture(params=FORMAT_OF)
def export(request):
    return request.param


def calls_of(export, **options):
    if export.endswith("parquet"):
        pytest.importorskip("duckdb")
    reader = read_traffic(EXPORTS / export, strict=True, **options)
    return [record for record in reader if record.source == "model"], reader


def test_every_file_here_is_tested():
    found = {path.name for path in EXPORTS.iterdir()} - {"README.md", "make_exports.py", "__pycache__"}
    assert found == set(FORMAT_OF)


def test_the_format_is_told_by_the_content(export):
    calls, reader = calls_of(export)
    assert set(reader.formats) == {FORMAT_OF[export]}
    assert reader.bad == 0
    assert len(calls) == (2 if export in LOSES_FAILURE else 3)


def test_naming_the_format_gives_the_same(export):
    assert calls_of(export, format=FORMAT_OF[export])[0] == calls_of(export)[0]


def test_tokens_and_dollars_are_those_counted_by_hand(export):
    calls, _ = calls_of(export)
    plain, with_tool = calls[:2]
    cached = None if export in LOSES_CACHE else 64
    assert (plain.usage.input_tokens, plain.usage.output_tokens) == (120, 8)
    assert (plain.usage.cache_read_tokens or None) == cached
    assert (with_tool.usage.input_tokens, with_tool.usage.output_tokens) == (90, 20)
    assert (with_tool.usage.cache_read_tokens or None) is None
    book = PriceBook()
    day = datetime(2026, 11, 20, tzinfo=UTC)
    costs = [book.cost(call.usage, call.model, at=day).total_usd for call in calls[:2]]
    assert costs == [Decimal("0.0000104") if cached else Decimal("0.0000152"), Decimal("0.000017")]


def test_a_cost_that_the_tool_computed_is_kept(export):
    told = [call.cost_usd for call in calls_of(export)[0][:2]]
    if FORMAT_OF[export] in {"helicone", "litellm"}:
        assert [round(cost, 10) for cost in told] == [Decimal("0.0000104"), Decimal("0.000017")]
    else:
        assert told == [None, None]


def test_who_the_calls_were_for_is_kept(export):
    for call in calls_of(export)[0]:
        who = call.attribution
        assert who.user == "ada"
        assert who.feature == FEATURE.get(export, "trips")
        if export not in LOSES_TAGS:
            assert who.tags == {"plan": "free"} | (
                {"api_key_alias": "web"} if FORMAT_OF[export] == "litellm" else {}
            )
        assert who.conversation == ("talk-1" if export != "litellm_payload.jsonl" else None)
        if export == "litellm_payload.jsonl":
            assert who.run == "talk-1"


def test_questions_and_answers_are_kept_in_the_shape_of_chat(export):
    plain, with_tool = calls_of(export)[0][:2]
    if export in LOSES_CONTENT:
        assert plain.messages is None
        assert plain.answer is None
        return
    assert [(message["role"], message["content"]) for message in plain.messages] == [
        ("system", "Answer briefly."),
        ("user", "What is the capital of France?"),
    ]
    assert with_tool.messages[1]["content"] == "What is the weather in Paris?"
    assert {key: plain.settings[key] for key in ("temperature", "max_tokens")} == {
        "temperature": 0.5,
        "max_tokens": 50,
    }
    assert "max_tokens" not in with_tool.settings
    if export in LOSES_ANSWER:
        return
    assert plain.answer == "Paris."
    (call,) = with_tool.tool_calls
    assert call["type"] == "function"
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}


def test_the_tools_that_were_offered_are_kept(export):
    plain, with_tool = calls_of(export)[0][:2]
    assert plain.tools == ()
    if export not in LOSES_TOOLS:
        (tool,) = with_tool.tools
        assert tool["function"]["name"] == "weather"
        assert tool["function"]["parameters"]["properties"] == {"city": {"type": "string"}}


def test_how_a_call_ended_is_kept(export):
    calls, _ = calls_of(export)
    assert [call.outcome for call in calls[:2]] == ["ok", "ok"]
    assert [call.finish_reason for call in calls[:2]] == (
        ["stop", "tool_calls"] if export in TELLS_FINISH else [None, None]
    )
    for refused in calls[2:]:
        assert refused.outcome == "error"
        assert ("refused" in refused.error) or refused.error == "HTTP status 400"
        assert not refused.usage.is_reported


def test_names_times_and_durations_are_kept(export):
    for call in calls_of(export)[0]:
        assert call.model == (
            DATED if call.outcome == "ok" and FORMAT_OF[export] != "litellm" else "gpt-4.1-nano"
        )
        assert call.at.year == 2026
        assert 0 < call.latency_s < 60
        assert call.id
        assert call.where.startswith(str(EXPORTS / export))


def test_a_hit_of_the_gateways_cache_costs_nothing():
    (hit,) = (call for call in read_traffic(EXPORTS / "helicone.jsonl") if call.source == "cache")
    assert hit.cost_usd == 0
    assert hit.answer == "Paris."


def test_feedback_becomes_a_score():
    first = next(iter(read_traffic(EXPORTS / "helicone.jsonl")))
    assert first.score == 1


@pytest.mark.parametrize(
    "export", ["langsmith_runs.jsonl", "langfuse_blob.jsonl", "openinference_otlp.jsonl", "otlp_genai.json"]
)
def test_chains_and_agents_around_the_calls_are_left_out_and_counted(export):
    _, reader = calls_of(export)
    assert reader.skipped == 1


def test_logs_of_spans_are_not_cut(export):
    assert len(split_traffic(EXPORTS / export, 4)) == 1


def test_spans_that_several_exports_repeat_are_counted_once():
    pytest.importorskip("duckdb")
    names = [name for name, told in FORMAT_OF.items() if told in {"langfuse", "phoenix"}]
    reader = read_traffic([EXPORTS / name for name in names], strict=True)
    calls = list(reader)
    assert len(names) == 6
    assert len(calls) == 6  # three of each tool
    assert sum(call.usage.input_tokens or 0 for call in calls) == 2 * 210


def test_all_exports_are_read_together():
    pytest.importorskip("duckdb")
    reader = read_traffic([EXPORTS / name for name in FORMAT_OF], strict=True)
    assert sum(1 for _ in reader) == reader.rows == sum(reader.formats.values())
    assert set(reader.formats) == set(FORMAT_OF.values())
