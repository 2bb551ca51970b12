"""A draft that is not good enough never reaches the user, and everything that it took is counted."""

import asyncio
from decimal import Decimal

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from examples.provider import Cut, Fail, Malformed, ProviderAnswer, ProviderUsage
from langchain_tokenomics import (
    BudgetCallbackHandler,
    BudgetExceededError,
    CognitiveScaffold,
    ModelRouter,
    SemanticCache,
    track_cost,
)
from langchain_tokenomics.cache import MARK
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.routing import Cascade, Router, Threshold, Tier
from tokenomics_core.routing.scaffold import scaffold_tier

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"
CHEAP_CALL = usd(CHEAP, input=100, output=20)
DEAR_CALL = usd(DEAR, input=100, output=20)
USAGE = ProviderUsage(input_tokens=100, output_tokens=20)
TIERS = (Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR))
BAD, GOOD, BEST = "perhaps forty", "it is 41", "it is 42"


class Sure:
    """Accepts what does not hedge."""

    def __init__(self):
        self.seen = []

    def accept_probability(self, question, answer):
        self.seen.append(answer)
        return 0.1 if "perhaps" in answer.text else 0.9


class Number(BaseModel):
    """A number."""

    value: int


class Noted(Number):
    """A number and what is to be said of it."""

    note: str = ""


def make(world, draft=BAD, acceptor=None, models=None, **settings):
    world.engine.always(ProviderAnswer(text=draft, usage=USAGE), model=CHEAP)
    world.engine.always(ProviderAnswer(text=BEST, usage=USAGE), model=DEAR)
    cascade = Cascade(TIERS, acceptor or Sure(), threshold=0.5)
    models = models or [(TIERS[0], world.openai(CHEAP)), (TIERS[1], world.openai(DEAR))]
    return ModelRouter(models, cascade=cascade, **settings)


@pytest.fixture(params=["invoke", "ainvoke", "stream", "astream"])
def ask(request):
    async def run(router, question="How many?", config=None):
        how = getattr(router, request.param)
        match request.param:
            case "invoke":
                return [how(question, config).text]
            case "ainvoke":
                return [(await how(question, config)).text]
            case "stream":
                return [piece.text for piece in how(question, config)]
            case _:
                return [piece.text async for piece in how(question, config)]

    return run


async def test_a_good_draft_is_the_answer(world, ask):
    router = make(world, draft=GOOD)
    with track_cost() as cost:
        assert "".join(await ask(router)) == GOOD
    assert (cost.total_usd, cost.avoided_usd) == (CHEAP_CALL, DEAR_CALL - CHEAP_CALL)
    stats = router.stats()
    assert (stats.cascades, stats.escalations, stats.drafts_usd) == (1, 0, 0)
    assert stats.net_saving_usd == DEAR_CALL - CHEAP_CALL


async def test_a_rejected_draft_is_never_seen_and_always_paid(world, ask):
    router = make(world)
    with track_cost() as cost:
        pieces = await ask(router)
    assert "".join(pieces) == BEST
    assert [record.model for record in cost.calls] == [CHEAP, DEAR]
    assert cost.total_usd == CHEAP_CALL + DEAR_CALL
    assert cost.avoided_usd == -CHEAP_CALL
    stats = router.stats()
    assert (stats.cascades, stats.escalations) == (1, 1)
    assert (stats.drafts_usd, stats.routed_usd) == (CHEAP_CALL, DEAR_CALL)
    assert stats.net_saving_usd == -CHEAP_CALL


# What is credited to a draft is taken back, whatever becomes of the call that follows


@pytest.mark.parametrize(
    ("fault", "paid"),
    [
        (Fail(status=500), Decimal(0)),
        (Fail(status=429), Decimal(0)),
        (Malformed(), Decimal(0)),
        (Cut(), usd(DEAR, input=10, output=0)),
    ],
    ids=["error", "rate_limit", "malformed", "cut"],
)
async def test_a_draft_saved_nothing_where_the_call_after_it_fails(world, ask, fault, paid):
    router = make(world)
    world.provider.inject(fault, model=DEAR)
    with track_cost() as cost, pytest.raises(Exception) as caught:
        await ask(router)
    assert "no tier gave an answer" in caught.value.__notes__[0]
    dear = cost.total_usd - CHEAP_CALL
    assert dear >= 0
    assert (dear > 0) <= (paid > 0)
    assert cost.avoided_usd == -cost.total_usd == router.stats().net_saving_usd


def test_a_draft_saved_nothing_where_a_budget_refuses_the_call_after_it(world):
    router = make(world)
    gate = BudgetCallbackHandler(Budgets([Limit("user", calls=1, match={"user": "ada"})]))
    config = {"callbacks": [gate], "metadata": {"user_id": "ada"}}
    with track_cost() as cost, pytest.raises(BudgetExceededError):
        router.invoke("How many?", config)
    assert cost.total_usd == CHEAP_CALL
    assert cost.avoided_usd == -CHEAP_CALL == router.stats().net_saving_usd
    assert [record.operation for record in cost.calls] == ["chat", "correction"]


@pytest.mark.parametrize("cached", [CHEAP, DEAR])
def test_a_call_of_a_cascade_from_the_cache_is_credited_once(world, cached):
    cache = SemanticCache()
    models = [
        (tier, cache.cached(world.openai(tier.model)) if tier.model == cached else world.openai(tier.model))
        for tier in TIERS
    ]
    router = make(world, models=models)
    router.invoke("How many?")
    with track_cost() as cost:
        router.invoke("How many?")
    assert cost.total_usd + cost.avoided_usd == DEAR_CALL
    cache.close()


def test_a_tier_that_fails_between_draft_and_answer_keeps_no_credit(world):
    tiers = (*TIERS[:1], Tier(name="middle", model="gpt-4.1-mini"), *TIERS[1:])
    world.provider.inject(Fail(status=500), model="gpt-4.1-mini")
    models = [(tier, world.openai(tier.model)) for tier in tiers]
    make(world)
    router = ModelRouter(models, cascade=Cascade(tiers, Sure(), threshold=0.5))
    with track_cost() as cost:
        assert router.invoke("How many?").text == BEST
    assert cost.total_usd + cost.avoided_usd == DEAR_CALL
    assert router.stats().net_saving_usd == cost.avoided_usd


async def test_a_draft_whose_judge_is_cancelled_is_booked(world):
    judging = asyncio.Event()

    class Slow(Sure):
        def judge(self, question, answer):
            raise NotImplementedError

        async def ajudge(self, question, answer):
            judging.set()
            await asyncio.Event().wait()

    router = make(world, acceptor=Slow())
    with track_cost() as cost:
        task = asyncio.create_task(router.ainvoke("How many?"))
        await judging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert cost.total_usd == CHEAP_CALL == router.stats().routed_usd
    assert cost.avoided_usd == router.stats().net_saving_usd


# Who listens to pieces


class Pieces(BaseCallbackHandler):
    """Shows pieces, and counts what was paid."""

    run_inline = True

    def __init__(self):
        self.events = []

    def on_llm_new_token(self, token, **kwargs):
        self.events.append(token)

    def on_llm_end(self, response, **kwargs):
        self.events.append("END")

    @property
    def text(self):
        return "".join(event for event in self.events if event != "END")


class AsyncPieces(AsyncCallbackHandler):
    """Shows pieces in async code."""

    def __init__(self):
        self.text = ""

    async def on_llm_new_token(self, token, **kwargs):
        self.text += token


@pytest.mark.parametrize("draft", [BAD, GOOD])
@pytest.mark.parametrize("place", ["config", "model", "bound"])
async def test_who_listens_to_pieces_hears_those_of_the_answer_and_every_end(world, ask, draft, place):
    pieces = Pieces()
    own = {"callbacks": [pieces]} if place == "model" else {}
    models = [(tier, world.openai(tier.model, streaming=True, **own)) for tier in TIERS]
    router = make(world, draft=draft, models=models)
    if place == "bound":
        router = router.with_config(callbacks=[pieces])
    await ask(router, config={"callbacks": [pieces]} if place == "config" else None)
    assert pieces.text == (GOOD if draft == GOOD else BEST)
    assert pieces.events.count("END") == (1 if draft == GOOD else 2)
    assert pieces.events[-1] == "END"


@pytest.mark.parametrize("draft", [BAD, GOOD])
async def test_async_listeners_hear_the_answer_alone(world, draft):
    pieces = AsyncPieces()
    router = make(world, draft=draft)
    _ = [piece async for piece in router.astream("How many?", {"callbacks": [pieces]})]
    assert pieces.text == (GOOD if draft == GOOD else BEST)


async def test_pieces_inside_structured_output_are_held_back_too(world):
    pieces = Pieces()
    models = [(tier, world.openai(tier.model, streaming=True, callbacks=[pieces])) for tier in TIERS]
    router = make(world, draft='{"value": 3, "note": "perhaps"}', models=models)
    world.engine.always(ProviderAnswer(text='{"value": 42}', usage=USAGE), model=DEAR)
    for raw in (False, True):
        router.with_structured_output(Noted, method="json_mode", include_raw=raw).invoke("JSON?")
    assert "perhaps" not in pieces.text


@pytest.mark.parametrize("draft", [BAD, GOOD])
@pytest.mark.parametrize("chained", [False, True])
async def test_events_show_the_answer_in_pieces_as_those_of_one_model_would(world, draft, chained):
    router = make(world, draft=draft)
    chain = RunnableLambda(lambda text: text) | router if chained else router
    events = [event async for event in chain.astream_events("How many?", version="v2")]
    shown = [event for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(event["data"]["chunk"].text for event in shown) == (GOOD if draft == GOOD else BEST)
    names = [event["event"] for event in events if "chat_model" in event["event"]]
    assert names[0] == "on_chat_model_start"
    assert names[-1] == "on_chat_model_end"
    assert len({event["run_id"] for event in events if "chat_model" in event["event"]}) == 1


async def test_a_stream_that_only_routes_arrives_as_it_comes_and_nobody_judges_it(world):
    acceptor = Sure()
    router = make(world, acceptor=acceptor, streaming="route")
    assert "".join(piece.text for piece in router.stream("How many?")) == BAD
    assert acceptor.seen == []
    assert router.stats().cascades == 0


async def test_events_of_a_chain_do_not_show_a_rejected_draft(world):
    chain = make(world, streaming="judge") | StrOutputParser()
    shown = str([event async for event in chain.astream_events("How many?", version="v2")])
    assert "perhaps" not in shown
    assert "42" in shown


async def test_messages_of_a_graph_do_not_show_a_rejected_draft(world):
    router = make(world)

    async def node(state):
        return {"messages": [await router.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", node)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", END)
    graph = builder.compile()
    asked = {"messages": [("human", "How many?")]}
    shown = [message.text async for message, _ in graph.astream(asked, stream_mode="messages")]
    assert "perhaps" not in "".join(shown)
    assert "".join(shown) == BEST


def test_the_judge_sees_finish_reason_tools_and_schema(world):
    acceptor = Sure()
    router = make(world, draft='{"value": 3}', acceptor=acceptor)
    assert router.with_structured_output(Number).invoke("How many?") == Number(value=3)
    router.invoke("How many?")
    schema, plain = acceptor.seen
    assert (schema.schema_ok, plain.schema_ok, plain.finish_reason) == (True, None, "stop")


@pytest.mark.parametrize("client", ["chat", "responses", "messages"])
async def test_a_draft_that_was_cut_off_is_rejected_whatever_its_provider_calls_that(world, ask, client):
    small = (
        world.anthropic()
        if client == "messages"
        else world.openai(CHEAP, use_responses_api=client == "responses")
    )
    name = "claude-haiku-4-5" if client == "messages" else CHEAP
    tiers = (Tier(name="cheap", model=name), TIERS[1])
    make(world)
    world.engine.always(ProviderAnswer(text=GOOD, finish_reason="length", usage=USAGE), model=name)
    cascade = Cascade(tiers, Sure(), threshold=0.5)
    router = ModelRouter([(tiers[0], small), (tiers[1], world.openai(DEAR))], cascade=cascade)
    assert "".join(await ask(router)) == BEST


def test_the_judge_of_a_stream_with_its_raw_answer_sees_all_of_both(world):
    acceptor = Sure()
    router = make(world, draft='{"value": 3}', acceptor=acceptor)
    parts = list(router.with_structured_output(Number, method="json_mode", include_raw=True).stream("JSON?"))
    assert {"parsed": Number(value=3)} in parts
    assert (acceptor.seen[0].text, acceptor.seen[0].schema_ok) == ('{"value": 3}', True)


def test_a_draft_that_breaks_the_schema_is_asked_again_and_is_no_fault_of_the_tier(world):
    router = make(world, draft="no json")
    world.engine.always(ProviderAnswer(text='{"value": 42}', usage=USAGE), model=DEAR)
    with track_cost() as cost:
        answer = router.with_structured_output(Number, method="json_mode").invoke("How many, in JSON?")
    assert answer == Number(value=42)
    assert cost.total_usd == CHEAP_CALL + DEAR_CALL
    assert router.stats().escalations == 1
    assert router.stats().tiers["cheap"].errors == 0


async def test_a_draft_that_fails_goes_to_the_next_tier(world, ask):
    router = make(world, streaming="judge")
    world.provider.inject(Fail(status=500), model=CHEAP)
    assert "".join(await ask(router)) == BEST
    assert router.stats().tiers["cheap"].errors == 1


def test_a_judge_that_is_a_model_is_paid_and_counted(world):
    judge = world.openai(DEAR)

    class Asks(Sure):
        def accept_probability(self, question, answer):
            judge.invoke(f"Is {answer.text!r} right?")
            return 0.9

    router = make(world, draft=GOOD, acceptor=Asks())
    with track_cost() as cost:
        router.invoke("How many?")
    assert cost.total_usd + cost.avoided_usd == DEAR_CALL
    assert cost.by("route_role") == {"draft": CHEAP_CALL, "judge": DEAR_CALL}


def test_an_answer_from_the_cache_is_the_caches_saving_not_the_routers(world):
    cache = SemanticCache()
    world.engine.always(ProviderAnswer(text=GOOD, usage=USAGE))
    models = {"cheap": cache.cached(world.openai(CHEAP)), "dear": cache.cached(world.openai(DEAR))}
    router = ModelRouter(models, policy=Threshold(0.99))
    with track_cost() as cost:
        first, second = router.invoke("How many?"), router.invoke("How many?")
    assert MARK not in first.response_metadata
    assert MARK in second.response_metadata
    assert [record.avoided_by for record in cost.calls] == ["route", "cache"]
    assert cost.calls[1].avoided_usd == CHEAP_CALL
    assert router.stats().routed_usd == CHEAP_CALL
    cache.close()


# Four steps as a tier


def scaffolded(world, **settings):
    cheap = Tier(name="cheap", model=CHEAP, quality=0.2)
    middle = scaffold_tier(cheap, quality=0.8)
    dear = Tier(name="dear", model=DEAR, quality=0.9)
    models = [
        (cheap, world.openai(CHEAP)),
        (middle, CognitiveScaffold(world.openai(CHEAP))),
        (dear, world.openai(DEAR)),
    ]
    return ModelRouter(models, **settings)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_scaffold_is_a_tier_whose_four_calls_are_priced(world, how):
    for step in ("asked", "recalled", "examined", "answered"):
        world.engine.queue(ProviderAnswer(text=step, usage=USAGE), model=CHEAP)
    router = scaffolded(world, quality_floor=0.7)
    with track_cost() as cost:
        answer = getattr(router, how)("How many?")
        answer = asyncio.run(answer) if how == "ainvoke" else answer
    assert isinstance(answer, AIMessage)
    assert answer.text == "answered"
    assert cost.total_usd == 4 * CHEAP_CALL == router.stats().routed_usd
    assert cost.by("route_tier") == {"cheap/scaffold": 4 * CHEAP_CALL}
    assert cost.avoided_usd == pytest.approx(router.stats().net_saving_usd, abs=Decimal("0.00002"))


def test_the_steps_see_the_conversation_and_the_notes_before_them(world):
    for step in ("asked", "recalled", "examined", "answered"):
        world.engine.queue(ProviderAnswer(text=step, usage=USAGE), model=CHEAP)
    CognitiveScaffold(world.openai(CHEAP)).invoke("How many?")
    bodies = [request.body["messages"] for request in world.provider.requests]
    assert [messages[0]["content"] for messages in bodies] == ["How many?"] * 4
    assert ["asked" in messages[-1]["content"] for messages in bodies[1:]] == [True] * 3
    assert "[examine_answer]\nexamined" in bodies[3][-1]["content"]


def test_a_cascade_goes_over_a_router_that_is_given(world):
    router = Router(TIERS, policy=Threshold(-1))
    world.engine.always(ProviderAnswer(text=BEST, usage=USAGE))
    models = [(TIERS[0], world.openai(CHEAP)), (TIERS[1], world.openai(DEAR))]
    made = ModelRouter(models, cascade=Cascade(router, Sure(), threshold=0.5))
    assert made.router is router
    assert made.invoke("How many?").response_metadata["model_name"] == DEAR
