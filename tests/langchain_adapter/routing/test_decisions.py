"""LangChain's own router of agents takes the decisions of ours, where LangChain has one."""

import asyncio
from importlib.util import find_spec

import pytest

if find_spec("langchain_core.decisions") is None:
    pytest.skip(
        "decision models came with langchain-core 1.8, which is not installed", allow_module_level=True
    )

from langchain.agents import create_agent
from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

from examples.provider import ProviderAnswer, ProviderUsage
from langchain_tokenomics import RouterDecisionModel
from tests.langchain_adapter.routing.test_model_router import ByWord
from tokenomics_core import ConfigurationError
from tokenomics_core.routing import Router, Threshold, Tier

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"


@pytest.fixture
def router():
    tiers = [Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)]
    return Router(tiers, classifier=ByWord(), policy=Threshold(0.5))


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_the_frameworks_router_goes_by_ours(world, router, how):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(lambda request: ProviderAnswer(text=f"I am {request.model}", usage=usage))
    middleware = ModelRouterMiddleware(
        choices={
            "cheap": ModelChoice(model=world.openai(CHEAP), criteria="easy"),
            "dear": ModelChoice(model=world.openai(DEAR), criteria="hard"),
        },
        instructions="Choose.",
        classifier=RouterDecisionModel(router=router),
    )
    agent = create_agent(world.openai("gpt-4.1-nano"), middleware=[middleware])
    for question, model in (("What?", CHEAP), ("Prove it.", DEAR)):
        state = getattr(agent, how)({"messages": [("human", question)]})
        state = asyncio.run(state) if how == "ainvoke" else state
        assert state["messages"][-1].text == f"I am {model}"
        assert sum(state["model_route"].probabilities.values()) == pytest.approx(1)


def test_choices_that_are_no_tiers_are_refused(router):
    from langchain_core.decisions import Choice

    asked = {
        "state": "What?",
        "questions": {"q": Choice(instructions="?", criteria={"fast": "", "slow": ""})},
    }
    with pytest.raises(ConfigurationError, match="must be a choice among the router's tiers cheap, dear"):
        RouterDecisionModel(router=router).invoke(asked)
