"""What is held for a call covers all that its client will send, and the longest answer that it allows."""

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

from llama_index_tokenomics._budget_shape import OutputRule, Request, bound_name, read_shape
from llama_index_tokenomics._models import provider_of
from tokenomics_core.observability import CallStart

HI = [ChatMessage(role="user", content="hi")]
RULE = OutputRule(most_tokens=1_000, least_tokens=256, fits=True)
PLAIN = 8  # 3 tokens for the message, 1 for its role, 1 for its text, 3 to prime the answer
WORDS = "a thing " * 100  # two tokens each in every vocabulary of OpenAI


def like(**settings):
    return OpenAILike(model="gpt-4o", api_key="unused", **{"is_chat_model": True, **settings})


def openai(**settings):
    return OpenAI(model="gpt-4o", api_key="unused", **settings)


def request(model, prompt=HI, **arguments):
    start = CallStart(key="call", model="gpt-4o", provider=provider_of(model), prompt=prompt)
    return Request(start, model, arguments)


def shape(model, prompt=HI, rule=RULE, **arguments):
    return read_shape(request(model, prompt, **arguments), rule)


def test_a_text_is_counted_as_the_message_that_it_is_sent_as():
    assert shape(like(), "hi").input_tokens == shape(like(), HI).input_tokens == PLAIN


def test_standing_instructions_of_the_responses_client_count():
    model = OpenAIResponses(model="gpt-4o", api_key="unused", instructions=WORDS)
    assert shape(model).input_tokens >= PLAIN + 200


def test_tools_count_wherever_they_are_named():
    tool = {"name": "find", "description": WORDS}
    anthropic = Anthropic(model="claude-haiku-4-5", api_key="unused", tools=[tool])
    responses = OpenAIResponses(model="gpt-4o", api_key="unused", built_in_tools=[tool])
    standing = like(additional_kwargs={"tools": [tool]})
    for model in (anthropic, responses, standing):
        assert shape(model).input_tokens > PLAIN + 200
    both = shape(anthropic, tools=[{"name": "other", "description": WORDS}])
    assert both.input_tokens > shape(anthropic).input_tokens + 200
    assert shape(like(), functions=[tool]).input_tokens > PLAIN + 200


@pytest.mark.parametrize(
    ("model", "arguments", "bound"),
    [
        (openai(max_tokens=50), {"max_tokens": 70}, 50),
        (openai(max_tokens=50), {"max_completion_tokens": 70}, 70),
        (openai(additional_kwargs={"max_completion_tokens": 40}), {"max_tokens": 20}, 40),
        (openai(), {"max_tokens": True}, None),
        (Anthropic(model="claude-haiku-4-5", api_key="unused", max_tokens=50), {"max_tokens": 70}, 70),
        (OpenAIResponses(model="gpt-5", api_key="unused", max_output_tokens=50), {}, 50),
        (OpenAIResponses(model="gpt-5", api_key="unused", max_output_tokens=50), {"max_output_tokens": 9}, 9),
    ],
)
def test_the_bound_is_that_of_the_clients_own_precedence_and_the_loosest_of_several(model, arguments, bound):
    assert shape(model, **arguments).max_output_tokens == bound


def test_the_older_endpoint_may_fill_the_window():
    model = like(is_chat_model=False, context_window=3_900)
    assert shape(model, "hi").max_output_tokens == 3_900
    assert bound_name(request(model, "hi")) is None
    assert shape(like(), "hi", use_chat_completions=False).max_output_tokens == 3_900


def test_what_cannot_or_must_not_be_told_a_bound_is_held_at_the_default():
    rule = OutputRule(most_tokens=1_000, least_tokens=256, fits=False)
    assert shape(like(), rule=rule).max_output_tokens == 1_000
    assert shape(object()).max_output_tokens == 1_000
    small = shape(like(), rule=OutputRule(most_tokens=100, least_tokens=256, fits=True))
    assert (small.max_output_tokens, small.model_max_output_tokens, small.min_output_tokens) == (
        None,
        100,
        100,
    )


def test_each_server_is_told_the_bound_in_the_name_that_it_knows():
    assert bound_name(request(openai())) == "max_completion_tokens"
    assert bound_name(request(openai(api_base="http://127.0.0.1:1/v1"))) == "max_tokens"
    assert bound_name(request(like(api_base="http://127.0.0.1:1/v1"))) == "max_tokens"
    assert bound_name(request(OpenAIResponses(model="gpt-5", api_key="unused"))) == "max_output_tokens"
    assert bound_name(request(object())) is None


def test_answers_and_sound_are_held_as_asked_for():
    assert shape(openai(), n=4).answers == 4
    assert shape(openai(additional_kwargs={"n": 2}), n=4).answers == 2
    assert not shape(openai()).audio
    assert shape(openai(modalities=["text", "audio"])).audio
