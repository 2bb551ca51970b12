"""What each tool means by its counts, costs and names, where tools differ."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.core.traffic.read_samples import NOON, lines
from tokenomics_core import Usage
from tokenomics_core.traffic import read_traffic

AT = NOON.isoformat()
ASKED = [{"role": "user", "content": "Capital of France?"}]


def read(tmp_path, *rows, **options):
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(*rows))
    reader = read_traffic(path, strict=True, **options)
    return list(reader)


def observation(**changes):
    told = {
        "id": "o1",
        "traceId": "t1",
        "type": "GENERATION",
        "name": "answer",
        "startTime": AT,
        "endTime": "2026-11-03T12:00:02+00:00",
        "model": "claude-sonnet-4-5",
        "input": ASKED,
        "output": "Paris.",
    }
    return told | changes


@pytest.mark.parametrize(
    ("details", "usage"),
    [
        ({"input": 10, "output": 5}, {"input_tokens": 10, "output_tokens": 5}),
        (
            {"input": 10, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 200, "output": 5},
            {"input_tokens": 1210, "output_tokens": 5, "cache_read_tokens": 1000, "cache_write_tokens": 200},
        ),
        (
            {"input": 10, "input_cached_tokens": 90, "output": 5, "output_reasoning_tokens": 7, "total": 112},
            {"input_tokens": 100, "output_tokens": 12, "cache_read_tokens": 90, "reasoning_tokens": 7},
        ),
        (  # an integration that left the cache inside the input, as its total shows
            {"input": 100, "input_cached_tokens": 90, "output": 5, "total": 105},
            {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 90},
        ),
        (
            {"input": 10, "input_cache_creation_5m": 20, "input_cache_creation_1h": 30, "output": 5},
            {
                "input_tokens": 60,
                "output_tokens": 5,
                "cache_write_tokens": 50,
                "cache_write_5m_tokens": 20,
                "cache_write_1h_tokens": 30,
            },
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 90}},
            {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 90},
        ),
        ({"input": 0, "output": 0, "total": 0}, {}),
        ({}, {}),
    ],
)
@pytest.mark.parametrize("name", ["usageDetails", "usage_details", "usage"])
def test_langfuse_counts_in_buckets_that_exclude_each_other(tmp_path, details, usage, name):
    (record,) = read(tmp_path, observation(**{name: details}))
    assert record.usage == Usage(**usage)


def test_langfuse_of_older_versions_has_a_column_per_count(tmp_path):
    (record,) = read(tmp_path, observation(promptTokens=10, completionTokens=5, calculatedTotalCost=0.25))
    assert record.usage == Usage(input_tokens=10, output_tokens=5)
    assert record.cost_usd == Decimal("0.25")


def test_langfuse_latency_is_taken_from_the_times_since_its_unit_changed(tmp_path):
    (record,) = read(tmp_path, observation(latency=2000))
    assert record.latency_s == 2.0


def test_a_langfuse_trace_gives_its_observations_what_it_knows(tmp_path):
    trace = {
        "id": "t1",
        "timestamp": AT,
        "name": "chat",
        "userId": "ada",
        "sessionId": "s1",
        "tags": ["beta", "plan=free"],
        "metadata": {"app": "shop"},
        "observations": [
            observation(id="root", type="SPAN", model=None, parentObservationId=None),
            observation(parentObservationId="root", usageDetails={"input": 10, "output": 5}),
            observation(id="o2", parentObservationId="o1", usageDetails={"input": 10, "output": 5}),
        ],
    }
    (record,) = read(tmp_path, trace)
    assert record.id == "o2"  # the one inside o1
    who = record.attribution
    assert (who.user, who.conversation, who.feature, who.project, who.run) == (
        "ada",
        "s1",
        "chat",
        "shop",
        "t1",
    )
    assert who.tags == {"beta": "true", "plan": "free"}


def run(**changes):
    told = {
        "id": "r1",
        "trace_id": "t1",
        "run_type": "llm",
        "name": "ChatAnthropic",
        "start_time": AT,
        "end_time": "2026-11-03T12:00:02",
        "inputs": {"messages": ASKED},
        "outputs": {},
        "extra": {"metadata": {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-5"}},
    }
    return told | changes


def generation(usage, **about):
    message = {"content": "Paris.", "type": "ai", "usage_metadata": usage, "response_metadata": about}
    return {"generations": [[{"text": "Paris.", "message": {"id": ["AIMessage"], "kwargs": message}}]]}


def test_langsmith_counts_input_with_the_cache(tmp_path):
    usage = {
        "input_tokens": 1210,
        "output_tokens": 5,
        "total_tokens": 1215,
        "input_token_details": {"cache_read": 1000, "cache_creation": 200},
    }
    (record,) = read(tmp_path, run(outputs=generation(usage, stop_reason="end_turn")))
    assert record.usage == Usage(
        input_tokens=1210, output_tokens=5, cache_read_tokens=1000, cache_write_tokens=200
    )
    assert (record.answer, record.finish_reason, record.provider) == ("Paris.", "end_turn", "anthropic")
    assert record.latency_s == 2.0


def test_langsmith_runs_without_messages_have_counts_of_their_own(tmp_path):
    told = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_token_details": {"cache_read": 60}}
    (record,) = read(tmp_path, run(**told, total_cost="0.25", outputs={"output": "Paris."}))
    assert record.usage == Usage(input_tokens=100, output_tokens=5, cache_read_tokens=60)
    assert (record.cost_usd, record.answer) == (Decimal("0.25"), "Paris.")


def test_langsmith_marks_what_langchains_cache_served(tmp_path):
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "total_cost": 0}
    (record,) = read(tmp_path, run(outputs=generation(usage)))
    assert record.source == "cache"


def test_langsmith_feedback_and_project_are_kept(tmp_path):
    told = {
        "feedback_stats": {"speed": {"avg": 0.1}, "user_score": {"n": 3, "avg": 0.75}},
        "session_name": "shop",
    }
    (record,) = read(tmp_path, run(**told, session_id="a project's id"))
    assert record.score == 0.75
    assert (record.attribution.project, record.attribution.conversation) == ("shop", None)


def test_langsmith_child_runs_are_found_inside_their_parents(tmp_path):
    chain = run(id="c", run_type="chain", name="agent", child_runs=[run(parent_run_id="c")])
    (record,) = read(tmp_path, chain)
    assert (record.id, record.attribution.feature, record.attribution.run) == ("r1", "agent", "t1")


def test_langsmith_thread_and_user_come_from_the_chain_around(tmp_path):
    chain = run(
        id="c", run_type="chain", name="agent", extra={"metadata": {"thread_id": "th", "user_id": "ada"}}
    )
    (record,) = read(tmp_path, chain, run(parent_run_id="c"))
    assert (record.attribution.user, record.attribution.conversation) == ("ada", "th")


def spend(**changes):
    told = {
        "request_id": "q1",
        "call_type": "acompletion",
        "spend": 0.25,
        "prompt_tokens": 1210,
        "completion_tokens": 5,
        "total_tokens": 1215,
        "startTime": "2026-11-03 12:00:00",
        "endTime": "2026-11-03 12:00:02",
        "model": "claude-sonnet-4-5",
        "user": "owner-of-the-key",
        "metadata": json.dumps({"additional_usage_values": {"cache_read_input_tokens": 1000}}),
        "cache_hit": "False",
        "messages": "{}",
        "response": "{}",
    }
    return told | changes


def test_litellm_counts_input_with_the_cache(tmp_path):
    (record,) = read(tmp_path, spend())
    assert record.usage == Usage(input_tokens=1210, output_tokens=5, cache_read_tokens=1000)
    assert (record.at, record.latency_s, record.cost_usd) == (NOON, 2.0, Decimal("0.25"))
    assert (record.messages, record.answer, record.operation) == (None, None, "chat")
    assert record.attribution.user == "owner-of-the-key"


def test_litellm_end_users_come_before_owners_of_keys(tmp_path):
    (record,) = read(tmp_path, spend(end_user="ada", team_id="team-1", session_id="s1"))
    who = record.attribution
    assert (who.user, who.project, who.conversation) == ("ada", "team-1", "s1")


@pytest.mark.parametrize(
    ("told", "cost", "source"),
    [
        ({"spend": 0}, None, "model"),
        ({"spend": 0, "cache_hit": "True"}, Decimal(0), "cache"),
        ({"spend": 0.5, "cache_hit": "None"}, Decimal("0.5"), "model"),
    ],
)
def test_litellm_zero_is_unknown_but_for_its_cache(tmp_path, told, cost, source):
    (record,) = read(tmp_path, spend(**told))
    assert (record.cost_usd, record.source) == (cost, source)


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("aembedding", "embedding"),
        ("atext_completion", "completion"),
        ("aresponses", "chat"),
        ("arerank", "arerank"),
    ],
)
def test_litellm_names_kinds_of_calls_in_two_ways(tmp_path, call_type, operation):
    (record,) = read(tmp_path, spend(call_type=call_type))
    assert record.operation == operation


def test_litellm_failures_say_why(tmp_path):
    metadata = json.dumps({"status": "failure", "error_information": {"error_message": "too many requests"}})
    (record,) = read(tmp_path, spend(metadata=metadata))
    assert (record.outcome, record.error) == ("error", "too many requests")


def request(**changes):
    told = {
        "request_id": "h1",
        "request_created_at": AT,
        "response_status": 200,
        "request_user_id": "ada",
        "model": "claude-sonnet-4-5",
        "provider": "ANTHROPIC",
        "prompt_tokens": 10,
        "prompt_cache_read_tokens": 1000,
        "prompt_cache_write_tokens": 200,
        "completion_tokens": 5,
        "delay_ms": 1500,
        "costUSD": 0.25,
    }
    return told | changes


def test_helicone_counts_prompts_without_the_cache(tmp_path):
    (record,) = read(tmp_path, request())
    assert record.usage == Usage(
        input_tokens=1210, output_tokens=5, cache_read_tokens=1000, cache_write_tokens=200
    )
    assert (record.latency_s, record.cost_usd, record.provider) == (1.5, Decimal("0.25"), "anthropic")


def test_helicone_counts_prompts_without_the_cache_also_where_the_prompt_is_longer(tmp_path):
    (record,) = read(tmp_path, request(prompt_tokens=500, prompt_cache_read_tokens=100))
    assert (record.usage.input_tokens, record.usage.cache_read_tokens) == (800, 100)


def test_helicone_counts_of_the_body_come_first(tmp_path):
    body = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Paris."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 11, "cache_read_input_tokens": 1000, "output_tokens": 6},
    }
    (record,) = read(tmp_path, request(response_body=body))
    assert record.usage == Usage(input_tokens=1011, output_tokens=6, cache_read_tokens=1000)
    assert (record.answer, record.finish_reason) == ("Paris.", "end_turn")


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "ok"), (429, "error"), (500, "error"), (-3, "cancelled"), (-1, "error")]
)
def test_helicone_statuses_below_zero_are_its_own(tmp_path, status, outcome):
    assert read(tmp_path, request(response_status=status))[0].outcome == outcome


def inference(attributes, **changes):
    told = {
        "name": "ChatCompletion",
        "span_kind": "LLM",
        "context": {"span_id": "s", "trace_id": "t"},
        "start_time": AT,
        "end_time": "2026-11-03T12:00:02+00:00",
        "status_code": "OK",
        "attributes": {"llm.model_name": "claude-sonnet-4-5", **attributes},
    }
    return told | changes


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {"prompt": 1210, "completion": 5, "total": 1215, "prompt_details.cache_read": 1000},
            {"input_tokens": 1210, "output_tokens": 5, "cache_read_tokens": 1000},
        ),
        (  # an instrumentation that leaves the cache out, as its total shows
            {"prompt": 2000, "completion": 5, "total": 3205, "prompt_details.cache_read": 1200},
            {"input_tokens": 3200, "output_tokens": 5, "cache_read_tokens": 1200},
        ),
        (
            {"prompt": 100, "completion": 5, "prompt_details.cache_input": 60},
            {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 60},
        ),
    ],
)
def test_phoenix_counts_prompts_with_the_cache_unless_the_total_says_otherwise(tmp_path, told, usage):
    counts = {f"llm.token_count.{name}": value for name, value in told.items()}
    (record,) = read(tmp_path, inference(counts))
    assert record.usage == Usage(**usage)


def test_phoenix_messages_may_be_flat_nested_or_only_the_raw_input(tmp_path):
    flat = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Capital of France?",
        "llm.output_messages.0.message.content": "Paris.",
    }
    nested = {
        "llm": {
            "model_name": "m",
            "input_messages": [{"message": {"role": "user", "content": "Capital of France?"}}],
            "output_messages": [{"message": {"role": "assistant", "content": "Paris."}}],
        }
    }
    half = {
        "llm.input_messages": json.dumps([{"message.role": "user", "message.content": "Capital of France?"}]),
        "llm.output_messages": json.dumps([{"message.role": "assistant", "message.content": "Paris."}]),
    }
    raw = {"input.value": json.dumps({"messages": ASKED}), "output.value": "Paris."}
    rows = [inference(told, context={"span_id": str(n)}) for n, told in enumerate((flat, half, raw))]
    rows.append({**inference({}), "attributes": nested})
    for record in read(tmp_path, *rows):
        (message,) = record.messages
        assert message["role"] == "user"
        assert message["content"] in ("Capital of France?", [{"type": "text", "text": "Capital of France?"}])
        assert record.answer == "Paris."


def test_phoenix_messages_are_in_the_order_of_their_numbers(tmp_path):
    told = {f"llm.input_messages.{n}.message.content": f"turn {n}" for n in reversed(range(12))}
    (record,) = read(tmp_path, inference(told))
    assert [message["content"] for message in record.messages] == [f"turn {n}" for n in range(12)]


def test_phoenix_costs_and_embeddings_are_kept(tmp_path):
    told = {
        "llm.cost.total": 0.25,
        "llm.finish_reason": "stop",
        "metadata": json.dumps({"feature": "search"}),
    }
    embedding = {
        "embedding.model_name": "small",
        "embedding.embeddings": [{"embedding": {"text": "one"}}, {"embedding": {"text": "two"}}],
    }
    chat, vector = read(
        tmp_path, inference(told), inference(embedding, span_kind="EMBEDDING", context={"span_id": "e"})
    )
    assert (chat.cost_usd, chat.finish_reason, chat.attribution.feature) == (
        Decimal("0.25"),
        "stop",
        "search",
    )
    assert (vector.operation, vector.model) == ("embedding", "small")
    assert [message["content"] for message in vector.messages] == ["one", "two"]


ROWS = {
    "langfuse": observation(
        usageDetails={"input": 10, "output": 5}, modelParameters={}, metadata={}, tags=[]
    ),
    "langsmith": run(outputs=generation({"input_tokens": 10, "output_tokens": 5}), tags=[], error=None),
    "litellm": spend(error_information={}, request_tags=[], end_user=None, team_id=None),
    "helicone": request(request_body={}, response_body={}, properties={}, feedback_rating=None, scores={}),
    "phoenix": inference(
        {"llm.input_messages": [], "llm.tools": [], "metadata": {}}, events=[], parent_id=None
    ),
}


@pytest.mark.parametrize("tool", ROWS)
def test_values_of_any_type_in_any_field_never_break_the_reading(tmp_path, tool):
    odd = [None, True, -1, 1e400, "x", [], [1], {}, {"a": 1}, [[]], "{", "[1", [{"a": {}}], {"input": "x"}]
    rows = [ROWS[tool] | {name: value} for name in ROWS[tool] for value in odd]
    if tool == "phoenix":
        rows += [
            inference({name: value})
            for name in ("llm.tools", "llm.input_messages", "input.value")
            for value in odd
        ]
    path = tmp_path / "log.jsonl"
    path.write_bytes(lines(*rows))
    reader = read_traffic(path, format=tool)
    read = list(reader)
    assert reader.rows == len(read)
    assert reader.bad < len(rows) / 2
