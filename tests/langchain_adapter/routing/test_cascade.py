"""A draft that is not good enough never reaches the user, and everything that it took is counted."""

import asyncio
from decimal import Decimal

import pytest
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from examples.provider import Fail, ProviderAnswer, ProviderUsage
from langchain_tokenomics import CognitiveScaffold, ModelRouter, SemanticCache, track_cost
from langchain_tokenomics.cache import MARK
from tests.prices_by_hand import usd
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
