"""The reading engine answers from the request and from nothing else, and its models differ by mechanism."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from examples.provider import (
    STRONG_READER,
    WEAK_READER,
    LoopbackProvider,
    ProviderError,
    ProviderRequest,
    Reader,
    ReadingEngine,
    Tool,
    ToolCall,
    Turn,
)
from examples.provider.counting import count_text_tokens
from examples.provider.passages import read_prompt, split_sentences, terms_of
from examples.provider.prompt_cache import PromptCache

LIBRARY = {
    "heapq.heappop": "Pop the smallest item off the heap, maintaining the heap invariant.",
    "heapq.heappush": "Push item onto heap, maintaining the heap invariant.",
    "bisect.insort": "Insert x in list a, keeping it sorted.\n\nIf x is already in a, insert it right of it.",
    "str.find": "Return the lowest index in S where sub is found.\n\nReturn -1 on failure.",
}


def words(text: str) -> int:
    return len(text.split())


def ask(question: str, *, model: str = "strong", library=None, **request):
    library = LIBRARY if library is None else library
    context = "\n\n".join(f"### {name}(...)\n{text}" for name, text in library.items())
    turns = (
        Turn(role="system", text="Answer from the context."),
        Turn(role="user", text=f"Context:\n---\n{context}\n---\nQuestion: {question}"),
    )
    return ProviderRequest(api="chat", model=model, turns=turns, **request)


@pytest.fixture
def engine() -> ReadingEngine:
    readers = {
        "strong": STRONG_READER,
        "weak": WEAK_READER,
        "shallow": Reader(depth_tokens=14, sentences=1, window_tokens=1000),
        "small": Reader(depth_tokens=1000, sentences=1, window_tokens=20),
    }
    return ReadingEngine(readers, clock=lambda: 0.0, count_tokens=words)


# --- reading a prompt


@given(st.text(alphabet="abc .!?\n", max_size=200))
def test_sentences_lose_no_word(text):
    assume(not any(line.strip().startswith("...") for line in text.splitlines()))
    assert " ".join(split_sentences(text)).split() == text.split()


@given(st.lists(st.sampled_from(["user", "system", "assistant", "tool"])), st.text(max_size=80))
def test_any_prompt_can_be_read(roles, text):
    turns = [Turn(role=role, text=text) for role in roles]
    read_prompt(turns)


def test_templates_of_both_frameworks_are_taken_apart():
    langchain = read_prompt(ask("Where is x?").turns)
    query = (
        "Context information is below.\n---------------------\n### a.b\nOne. Two.\n---------------------\n"
    )
    query += "Given the context information, answer the query.\nQuery: Where is x?\nAnswer: "
    llama_index = read_prompt([Turn(role="user", text=query)])
    assert langchain.question == llama_index.question == "Where is x?"
    assert [passage.heading for passage in llama_index.passages] == ["a.b"]
    assert llama_index.passages[0].sentences == ("One.", "Two.")
    assert [passage.heading for passage in langchain.passages] == [f"{name}(...)" for name in LIBRARY]


def test_a_prompt_without_headings_is_one_passage():
    prompt = read_prompt(
        [Turn(role="system", text="Handbook. Refunds take five days."), Turn(role="user", text="Refunds?")]
    )
    assert prompt.passages[0].sentences == ("Handbook.", "Refunds take five days.")


def test_sessions_of_the_interpreter_are_no_sentences():
    assert split_sentences("Add.\n\n>>> add(1)\n... 2\n\nDone.") == ["Add.", "Done."]


def test_words_of_one_stem_meet():
    assert terms_of("returns") == terms_of("Returned") == terms_of("return")
    assert terms_of("What is the of") == []


# --- answering


def test_the_answer_is_the_sentence_that_shares_the_words(engine):
    answer = engine.answer(ask("What does heapq.heappop pop off the heap?"))
    assert "smallest item off the heap" in answer.text


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_word_of_an_answer_comes_from_elsewhere(question):
    engine = ReadingEngine({"strong": STRONG_READER}, clock=lambda: 0.0, count_tokens=words)
    given = " ".join(LIBRARY.values()).split()
    answer = engine.answer(ask(question)).text
    assert answer == "The context does not answer this." or set(answer.split()) <= set(given)


def test_what_the_context_does_not_hold_is_not_answered(engine):
    assert engine.answer(ask("Who wrote Hamlet?")).text == "The context does not answer this."
    assert engine.answer(ask("What does str.find return?", library={})).text == (
        "The context does not answer this."
    )


def test_the_same_request_gets_the_same_answer(engine):
    request = ask("What does str.find return on failure?")
    assert engine.answer(request) == engine.answer(request)


def test_a_strong_reader_combines_what_a_weak_one_leaves_apart(engine):
    question = "What do heapq.heappop and heapq.heappush do?"
    strong, weak = (engine.answer(ask(question, model=model)).text for model in ("strong", "weak"))
    assert "smallest item" in strong
    assert "Push item" in strong
    assert len(split_sentences(weak)) == 1


def test_a_shallow_reader_never_sees_the_end_of_a_long_context(engine):
    question = "What does str.find return on failure?"
    assert "-1" in engine.answer(ask(question, model="strong")).text
    assert "-1" not in engine.answer(ask(question, model="shallow")).text


def test_a_passage_is_read_up_to_the_sentence_that_goes_too_deep(engine):
    library = {"m.f": "One two three four five six seven. Apples are red fruit of a tree. Pears are green."}
    assert "red" in engine.answer(ask("Are apples m.f red?", model="shallow", library=library)).text
    pears = engine.answer(ask("Are pears m.f green?", model="shallow", library=library)).text
    assert "green" not in pears


def test_a_follow_up_is_read_with_the_question_before_it(engine):
    last = ask("And if it is already there?").turns[-1]
    before = (
        Turn(role="user", text="Where does bisect.insort insert?"),
        Turn(role="assistant", text="It keeps a sorted."),
    )
    answer = engine.answer(ProviderRequest(api="chat", model="weak", turns=(*before, last)))
    assert "right of it" in answer.text


def test_a_follow_up_is_rewritten_with_the_name_it_leaves_out(engine):
    text = (
        "Given this conversation and a follow up question, rephrase it to be a standalone question.\n\n"
        "Chat History:\nuser: What does bisect.insort do?\nassistant: It inserts.\nuser: Why?\n"
        "assistant: So.\nFollow Up Input: Where does it put equal items?\nStandalone question:"
    )
    turns = (Turn(role="user", text=text),)
    answer = engine.answer(ProviderRequest(api="chat", model="weak", turns=turns)).text
    assert answer == "Where does it put equal items? (What does bisect.insort do?)"


# --- limits and refusals


def test_an_answer_stops_at_its_longest(engine):
    question = "What do heapq.heappop and heapq.heappush do?"
    answer = engine.answer(ask(question, max_output_tokens=5))
    assert (words(answer.text), answer.finish_reason, answer.usage.output_tokens) == (5, "length", 5)
    assert engine.answer(ask(question)).finish_reason == "stop"


def test_an_answer_ends_before_a_stop_text(engine):
    assert engine.answer(ask("What does heapq.heappop pop?", stop=(" off",))).text == "Pop the smallest item"


def test_prompts_beyond_the_window_and_unknown_models_are_refused(engine):
    with pytest.raises(ProviderError, match="maximum context length is 20") as caught:
        engine.answer(ask("What?", model="small"))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(ProviderError, match="does not exist") as caught:
        engine.answer(ask("What?", model="gpt-none"))
    assert caught.value.status == 404


# --- numbers


def test_input_is_every_word_of_the_request_and_a_bit_per_message(engine):
    turns = (Turn(role="system", text="be brief"), Turn(role="user", text="Who wrote Hamlet?"))
    usage = engine.answer(ProviderRequest(api="chat", model="strong", turns=turns)).usage
    assert usage.input_tokens == words("system: be brief user: Who wrote Hamlet?") + 3 * 3
    assert usage.output_tokens == words("The context does not answer this.")


def test_more_answers_cost_more_output(engine):
    one, three = (engine.answer(ask("heapq.heappop?", n=n)).usage for n in (1, 3))
    assert (three.input_tokens, three.output_tokens) == (one.input_tokens, 3 * one.output_tokens)


def test_logprobs_spell_the_answer_and_follow_the_match(engine):
    good = engine.answer(ask("Does heapq.heappop pop the smallest item off the heap?"))
    poor = engine.answer(ask("Would heapq.heappop frobnicate quuxes beyond recursive gizmos?"))
    assert "".join(item.token for item in good.logprobs) == good.text
    assert all(math.log(0.05) <= item.logprob <= 0 for item in good.logprobs + poor.logprobs)
    assert min(item.logprob for item in good.logprobs) > max(item.logprob for item in poor.logprobs)


# --- tools and shapes


def test_a_tool_is_called_when_there_is_nothing_to_read_and_its_result_is_read(engine):
    tool = Tool(name="search", parameters={"type": "object", "properties": {"query": {"type": "string"}}})
    asked = Turn(role="user", text="What does str.find return on failure?")
    call = engine.answer(ProviderRequest(api="chat", model="weak", turns=(asked,), tools=(tool,))).tool_calls[
        0
    ]
    assert (call.name, json.loads(call.arguments_json)) == ("search", {"query": asked.text})
    turns = (
        asked,
        Turn(role="assistant", tool_calls=(ToolCall(name="search", id="1"),)),
        Turn(role="tool", text=f"### str.find\n{LIBRARY['str.find']}", tool_call_id="1"),
    )
    answer = engine.answer(ProviderRequest(api="chat", model="strong", turns=turns, tools=(tool,)))
    assert "-1" in answer.text
    assert answer.tool_calls == ()


def test_a_demanded_tool_is_called_and_a_forbidden_one_is_not(engine):
    tools = (Tool(name="a"), Tool(name="b"))
    assert engine.answer(ask("x?", tools=tools, tool_choice="b")).tool_calls[0].name == "b"
    assert engine.answer(ask("x?", tools=tools, tool_choice="required")).tool_calls[0].name == "a"
    assert engine.answer(ask("x?", tools=tools, tool_choice="none", library={})).tool_calls == ()


def test_a_schema_is_filled(engine):
    schema = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "lines": {"type": "array", "items": {"type": "string"}},
            "number": {"type": "integer"},
            "kind": {"enum": ["yes", "failure"]},
            "inner": {"$ref": "#/$defs/Inner"},
        },
        "$defs": {"Inner": {"type": "object", "properties": {"share": {"type": "number"}}}},
    }
    request = ask("What does str.find return on failure?", model="weak", json_mode=True, json_schema=schema)
    assert json.loads(engine.answer(request).text) == {
        "answer": "Return -1 on failure.",
        "lines": ["Return -1 on failure."],
        "number": -1,
        "kind": "failure",
        "inner": {"share": -1.0},
    }


# --- the prompt cache

PREFIX = "".join(f"line {number} of a long beginning\n" for number in range(400))


@given(st.lists(st.integers(0, 40), max_size=8))
def test_no_more_is_read_from_the_cache_than_an_earlier_prompt_shares(lengths):
    cache = PromptCache(words, lambda: 0.0, shortest_tokens=8, step_tokens=4)
    lines = PREFIX.splitlines(keepends=True)
    longest = 0
    for number, length in enumerate(lengths):
        shared = min(length, longest)
        expected = words("".join(lines[:shared])) // 4 * 4
        assert cache.read("m", "".join(lines[:length]) + f"end {number}") == (
            expected if expected >= 8 else 0
        )
        longest = max(longest, length)


def test_reads_come_in_steps_from_a_shortest_prefix_on():
    cache = PromptCache(words, lambda: 0.0)
    assert cache.read("m", PREFIX + "first") == 0
    assert cache.read("m", PREFIX + "second") == 2400 // 128 * 128
    assert cache.read("other", PREFIX + "second") == 0
    short = "word " * 1023
    assert [cache.read("m", short), cache.read("m", short)] == [0, 0]


def test_a_prefix_dies_when_it_is_not_used():
    now = [0.0]
    cache = PromptCache(words, lambda: now[0], lifetime_s=300)
    cache.read("m", PREFIX)
    now[0] = 299.0
    assert cache.read("m", PREFIX) > 0
    now[0] = 598.0
    assert cache.read("m", PREFIX) > 0
    now[0] = 899.0
    assert cache.read("m", PREFIX) == 0


def test_the_cache_keeps_what_was_used_last():
    cache = PromptCache(words, lambda: 0.0, shortest_tokens=1, step_tokens=1, most_prefixes=2)
    for prompt in ("a\n", "b\n", "c\n"):
        cache.read("m", prompt)
    assert [cache.read("m", prompt) for prompt in ("c\n", "a\n")] == [1, 0]


def test_the_engine_reports_reads_from_the_cache(engine):
    library = {f"m.f{number}": "Says little about much. " * 20 for number in range(30)}
    first, second = (engine.answer(ask(text, library=library)).usage for text in ("m.f1?", "m.f2?"))
    assert first.cache_read_tokens == 0
    assert second.cache_read_tokens % 128 == 0
    assert 1024 <= second.cache_read_tokens <= second.input_tokens


def test_tokens_are_counted_in_a_real_vocabulary():
    assert count_text_tokens("hello world, hello") == 4  # "hello", " world", ",", " hello"
    assert count_text_tokens("") == 0


def test_the_engine_serves_real_clients():
    openai = pytest.importorskip("openai")
    with (
        LoopbackProvider(ReadingEngine()) as provider,
        openai.OpenAI(base_url=provider.openai_url, api_key="unused") as client,
    ):
        messages = [{"role": turn.role, "content": turn.text} for turn in ask("What is heapq.heappop?").turns]
        answer = client.chat.completions.create(model="gpt-4.1-nano", messages=messages, logprobs=True)
    assert "smallest item" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 50
    assert answer.choices[0].logprobs.content
