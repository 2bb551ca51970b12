"""A scaffold answers in four paid steps, shows the last one only, and is weighed as what it costs."""

import json

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate

from llama_index_tokenomics import BudgetGuard, CognitiveScaffold, RoutingLLM, attribution, track_cost
from tests.llama_index_adapter.routing.kit import (
    CHATS,
    CHEAP,
    COST,
    DEAR,
    EASY,
    TEXTS,
    USED,
    ask,
    models_asked,
    settings,
    user,
)
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import Tier
from tokenomics_core.routing.classifiers import FunctionClassifier
from tokenomics_core.routing.scaffold import COGNITIVE_STEPS, scaffold_tier

STEPS = [step.name for step in COGNITIVE_STEPS]


def look_up(what: str) -> str:
    """Look a word up."""
    return what


def says_steps(world):
    for step in STEPS[:-1]:
        world.says(f"notes of {step}", model=CHEAP, **USED)
    world.says("the answer", model=CHEAP, **USED)


@pytest.mark.parametrize("methods", [CHATS, TEXTS], ids=["chat", "complete"])
@pytest.mark.parametrize("place", range(4))
async def test_every_method_takes_all_steps_and_returns_the_last(world, methods, place):
    says_steps(world)
    llm = CognitiveScaffold(world.like(CHEAP))
    with track_cost() as cost:
        _, text = await ask(llm, methods[place], user() if methods is CHATS else EASY)
    assert text == "the answer"
    assert [record.attribution.tags["scaffold_step"] for record in cost.calls] == STEPS
    assert cost.total_usd == 4 * COST[CHEAP]
    last = world.provider.requests[-1].body["messages"]
    assert last[0]["content"] == EASY
    assert all(f"notes of {step}" in last[-1]["content"] for step in STEPS[:-1])


@pytest.mark.parametrize("place", range(4))
async def test_as_a_tier_it_is_one_answer_of_four_calls_that_saves_what_it_saves(world, place):
    cheap, dear = Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)
    between = scaffold_tier(cheap, name="between", input_factor=4, output_factor=4)
    model = world.like(CHEAP)
    llm = RoutingLLM(
        [(cheap, model), (between, CognitiveScaffold(model)), (dear, world.like(DEAR))],
        **settings(classifier=FunctionClassifier(lambda request, tiers: "between")),
    )
    says_steps(world)
    with track_cost() as cost:
        _, text = await ask(llm, CHATS[place], user())
    assert text == "the answer"
    assert models_asked(world) == [CHEAP] * 4
    stats = llm.stats()
    assert (stats.tiers["between"].answers, stats.routed_usd) == (1, 4 * COST[CHEAP])
    assert stats.counterfactual_usd == COST[DEAR]
    assert cost.avoided_usd == stats.net_saving_usd == COST[DEAR] - 4 * COST[CHEAP]


async def test_a_scaffold_is_never_chosen_for_tools(world):
    cheap, dear = Tier(name="cheap", model=CHEAP), Tier(name="dear", model=DEAR)
    tiers = [(scaffold_tier(cheap), CognitiveScaffold(world.like(CHEAP))), (dear, world.like(DEAR))]
    llm = RoutingLLM(tiers, **settings())
    assert llm.metadata.is_function_calling_model is True
    world.says("ok", **USED)
    assert str(await FunctionAgent(tools=[look_up], llm=llm).run(EASY)) == "ok"
    assert models_asked(world) == [DEAR]


def test_each_step_is_held_by_a_budget(world):
    budgets = Budgets(limits=[Limit("user", calls=10, window="day")])
    says_steps(world)
    with BudgetGuard(budgets) as guard, attribution(user="ada"):
        CognitiveScaffold(world.like(CHEAP)).predict(PromptTemplate("{query_str}"), query_str=EASY)
        assert budgets.status("user", "ada").spent_calls == 4
    assert guard.unguarded_calls == 0


def test_it_calls_no_tools_holds_its_key_back_and_takes_models_only(world):
    llm = CognitiveScaffold(world.like(CHEAP, api_key="sk-secret", system_prompt="Be brief."))
    assert llm.metadata.is_function_calling_model is False
    assert llm.metadata.model_name == CHEAP
    assert llm.system_prompt == "Be brief."
    assert "sk-secret" not in json.dumps(llm.to_dict(), default=str)
    assert llm.class_name() == "CognitiveScaffold"
    assert CognitiveScaffold(MockLLM()).metadata.is_chat_model
    with pytest.raises(ConfigurationError, match="LLM"):
        CognitiveScaffold("gpt")
