"""A cheap draft that is rejected is paid and billed, and nobody ever sees it."""

from decimal import Decimal

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import root_dispatcher
from pydantic import BaseModel

from examples.provider import Cut, Fail, Malformed, ProviderError, TokenLogprob
from examples.provider.exchange import ProviderAnswer, ProviderUsage
from llama_index_tokenomics import BudgetGuard, RoutingLLM, track_cost
from llama_index_tokenomics._routing_attempt import ROLE
from llama_index_tokenomics.router import MARK
from tests.llama_index_adapter.routing.kit import (
    CHATS,
    CHEAP,
    COST,
    DEAR,
    EASY,
    TEXTS,
    USED,
    ask,
    cascaded,
    models_asked,
    settings,
    user,
)
from tokenomics_core import attribution
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.routing import Cascade, Router, Tier
from tokenomics_core.routing.acceptors import FunctionAcceptor, LLMJudge

DRAFT, ANSWER = "perhaps five", "exactly four"


class Count(BaseModel):
    n: int


def rejects(question, answer):
    return "perhaps" not in answer.text


class Listener(BaseEventHandler):
    """Keeps every event of a model, as it was told."""

    events: list[BaseEvent]

    def handle(self, event, **kwargs):
        self.events.append(event.model_copy(deep=True))


@pytest.fixture
def listener():
    listener = Listener(events=[])
    root_dispatcher.add_event_handler(listener)
    yield listener
    root_dispatcher.event_handlers.remove(listener)


def scripted(world):
    world.says(DRAFT, model=CHEAP, **USED)
    world.says(ANSWER, model=DEAR, **USED)


@pytest.mark.parametrize("methods", [CHATS, TEXTS], ids=["chat", "complete"])
@pytest.mark.parametrize("place", range(4))
async def test_a_rejected_draft_is_replaced_paid_and_never_seen(world, methods, place):
    scripted(world)
    llm = cascaded(world, rejects)
    given = user() if methods is CHATS else EASY
    with track_cost() as cost:
        response, text = await ask(llm, methods[place], given)
    assert text == ANSWER
    assert response.additional_kwargs[MARK]["route_tier"] == "dear"
    draft, answer = cost.calls
    assert (draft.model, answer.model) == (CHEAP, DEAR)
    assert (draft.attribution.tags["route_role"], answer.attribution.tags["route_role"]) == (
        "draft",
        "answer",
    )
    assert cost.total_usd == COST[CHEAP] + COST[DEAR]
    assert cost.avoided_usd == -COST[CHEAP]
    stats = llm.stats()
    assert (stats.drafts_usd, stats.net_saving_usd) == (COST[CHEAP], -COST[CHEAP])
    assert (stats.escalations, stats.cascades) == (1, 1)


@pytest.mark.parametrize("place", range(4))
async def test_an_accepted_draft_is_the_answer_in_the_pieces_it_came_in(world, place):
    world.says(ANSWER, pieces=["exactly ", "four"], **USED)
    llm = cascaded(world, rejects)
    with track_cost() as cost:
        response, text = await ask(llm, CHATS[place], user())
    assert text == ANSWER
    assert response.additional_kwargs[MARK]["route_tier"] == "cheap"
    assert [record.avoided_usd for record in cost.calls] == [COST[DEAR] - COST[CHEAP]]
    stats = llm.stats()
    assert (stats.escalations, stats.tiers["cheap"].answers) == (0, 1)
    assert stats.net_saving_usd == COST[DEAR] - COST[CHEAP]


async def test_a_listener_hears_of_every_call_that_is_paid_once(world):
    scripted(world)
    counter = TokenCountingHandler(tokenizer=str.split)
    cascaded(world, rejects, callback_manager=CallbackManager([counter])).chat(user())
    assert len(counter.llm_token_counts) == 2


@pytest.mark.parametrize("method", CHATS)
async def test_events_of_what_may_be_rejected_say_so(world, method, listener):
    scripted(world)
    await ask(cascaded(world, rejects), method, user())
    drafts = [event for event in listener.events if event.tags.get(ROLE) == "draft"]
    others = [event for event in listener.events if event not in drafts]
    assert all("perhaps" not in str(event) for event in others)
    assert {type(event) for event in drafts} == {type(event) for event in others}


@pytest.mark.parametrize("method", CHATS)
@pytest.mark.parametrize("fault", [Fail(status=500), Cut(after_chunks=0), Malformed()], ids=str)
async def test_a_draft_saved_nothing_where_the_call_after_it_fails(world, method, fault):
    scripted(world)
    llm = cascaded(world, rejects)
    world.provider.inject(fault, model=DEAR)
    with track_cost() as cost, pytest.raises(Exception) as caught:
        await ask(llm, method, user())
    assert "no tier gave an answer" in caught.value.__notes__[0]
    assert cost.total_usd >= COST[CHEAP]
    assert cost.avoided_usd == -cost.total_usd == llm.stats().net_saving_usd


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_draft_saved_nothing_where_the_stream_after_it_breaks(world, method):
    scripted(world)
    llm = cascaded(world, rejects)
    world.provider.inject(Cut(after_chunks=2), model=DEAR)
    with track_cost() as cost, pytest.raises(Exception, match="peer closed"):
        await ask(llm, method, user())
    assert cost.avoided_usd == -cost.total_usd == llm.stats().net_saving_usd


async def test_a_draft_saved_nothing_where_a_guard_refuses_the_call_after_it(world):
    scripted(world)
    llm = cascaded(world, rejects)
    budgets = Budgets([Limit("user", calls=1)])
    refused = pytest.raises(BudgetExceededError)
    with BudgetGuard(budgets), attribution(user="ada"), track_cost() as cost, refused:
        await llm.achat(user())
    assert [record.operation for record in cost.calls] == ["chat", "correction"]
    assert cost.avoided_usd == -COST[CHEAP] == llm.stats().net_saving_usd


async def test_by_choice_a_stream_goes_without_the_cascade(world):
    world.says(DRAFT, **USED)
    tiers = [Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)]
    cascade = Cascade(Router(tiers, **settings()), FunctionAcceptor(rejects), threshold=0.5)
    models = {"cheap": world.like(CHEAP), "dear": world.like(DEAR)}
    llm = RoutingLLM(models, cascade=cascade)
    _, text = await ask(llm, "astream_chat", user())
    assert text == DRAFT
    assert (llm.stats().cascades, llm.cascade) == (0, cascade)
    scripted(world)
    _, text = await ask(RoutingLLM(models, cascade=cascade, streaming="judge"), "astream_chat", user())
    assert text == ANSWER


async def test_a_question_reaches_the_judge_apart_from_its_context(world):
    scripted(world)
    seen = []

    def remember(question, answer):
        seen.append((question, answer.text, answer.finish_reason))
        return rejects(question, answer)

    llm = cascaded(world, remember)
    prompt = PromptTemplate("{context_str} {query_str}")
    assert await llm.apredict(prompt, context_str="long context", query_str=EASY) == ANSWER
    assert seen == [(EASY, DRAFT, "stop")]


@pytest.mark.parametrize("method", CHATS)
async def test_a_judge_sees_the_chances_of_the_tokens_where_they_were_asked_for(world, method):
    seen = []

    def remember(question, answer):
        seen.append(answer.logprobs)
        return True

    tokens = (TokenLogprob(token="four", logprob=-0.25), TokenLogprob(token=".", logprob=-0.5))
    world.engine.queue(ProviderAnswer(text="four.", logprobs=tokens, usage=ProviderUsage(**USED)))
    cheap = world.openai(CHEAP, logprobs=True, additional_kwargs={"logprobs": True})
    await ask(cascaded(world, remember, models={"cheap": cheap, "dear": world.openai(DEAR)}), method, user())
    assert seen == [(-0.25, -0.5)]


@pytest.mark.parametrize("broken", ["perhaps", '{"m": 5}'])
async def test_an_object_that_breaks_its_schema_is_a_rejected_draft(world, broken):
    models = {"cheap": world.openai(CHEAP), "dear": world.openai(DEAR)}
    llm = cascaded(world, lambda question, answer: answer.schema_ok, models=models)
    prompt = PromptTemplate("{query_str}")
    for method in ("structured_predict", "astructured_predict"):
        world.says(broken, model=CHEAP, **USED)
        world.says('{"n": 4}', model=DEAR, **USED)
        found = getattr(llm, method)(Count, prompt, query_str=EASY)
        assert (await found if method.startswith("a") else found) == Count(n=4)
    assert models_asked(world) == [CHEAP, DEAR] * 2
    assert (llm.stats().drafts_usd, llm.stats().escalations) == (2 * COST[CHEAP], 2)
    assert llm.router.health("cheap").failures == 0


async def test_streamed_objects_are_held_back_too(world):
    models = {"cheap": world.openai(CHEAP), "dear": world.openai(DEAR)}
    llm = cascaded(world, lambda question, answer: '"n":4' in answer.text, models=models)
    prompt = PromptTemplate("{query_str}")
    for _ in range(2):
        world.says('{"n": 5}', model=CHEAP, **USED)
        world.says('{"n": 4}', model=DEAR, **USED)
    assert {each.n for each in llm.stream_structured_predict(Count, prompt, query_str=EASY)} <= {4, None}
    stream = await llm.astream_structured_predict(Count, prompt, query_str=EASY)
    assert [each async for each in stream][-1].n == 4
    assert models_asked(world) == [CHEAP, DEAR] * 2


@pytest.mark.parametrize("method", CHATS)
async def test_where_the_dear_tier_fails_the_rejected_draft_is_not_served(world, method):
    world.says(DRAFT, model=CHEAP, **USED)
    world.engine.queue(ProviderError(503, "dear is down"), model=DEAR)
    with pytest.raises(Exception, match="dear is down"):
        await ask(cascaded(world, rejects), method, user())


@pytest.mark.parametrize("method", ["chat", "achat"])
async def test_what_a_model_that_judges_costs_is_counted_and_never_called_a_saving(world, method):
    judge = world.like("gpt-4.1-mini")
    for verdict in ("10", "90"):
        world.says(verdict, model="gpt-4.1-mini", **USED)
    scripted(world)
    world.says(DRAFT, model=CHEAP, **USED)

    def opinion(prompt):
        return judge.complete(prompt).text

    tiers = [Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)]
    cascade = Cascade(tiers, LLMJudge(opinion), threshold=0.5)
    llm = RoutingLLM({"cheap": world.like(CHEAP), "dear": world.like(DEAR)}, cascade=cascade)
    with track_cost() as cost:
        assert (await ask(llm, method, user()))[1] == ANSWER
        assert (await ask(llm, method, user()))[1] == DRAFT
    roles = [record.attribution.tags["route_role"] for record in cost.calls]
    assert roles == ["draft", "judge", "answer", "draft", "judge"]
    judged = [record for record in cost.calls if record.attribution.tags["route_role"] == "judge"]
    assert all(record.avoided_usd == -record.cost_usd for record in judged)
    paid = cost.total_usd
    assert cost.avoided_usd == 2 * COST[DEAR] - paid
    assert Decimal(0) < paid


def test_a_cascade_has_one_router(world):
    tiers = [Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)]
    cascade = Cascade(tiers, FunctionAcceptor(rejects), threshold=0.5)
    with pytest.raises(ConfigurationError, match="another router"):
        RoutingLLM({"cheap": world.like(CHEAP)}, router=Router(tiers), cascade=cascade)
