"""A run that goes in circles ends with an error that names the rule, whatever kind of agent runs it."""

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from workflows import Context, Workflow, step
from workflows.events import StartEvent, StopEvent

from examples.provider import ToolCall
from llama_index_tokenomics import BudgetGuard, attribution
from tokenomics_core.budgets import Budgets, Limit, LoopGuard
from tokenomics_core.errors import BudgetExceededError

HI = [ChatMessage(role="user", content="hi")]


class Shelf:
    """A tool that notes how often it was asked."""

    def __init__(self):
        self.asked = []

    def look_up(self, title: str) -> str:
        """Look a book up."""
        self.asked.append(title)
        return "not here"

    async def look_up_in_context(self, ctx: Context, title: str) -> str:
        """Look a book up."""
        return self.look_up(title)


def function_agent(llm, tool):
    return FunctionAgent(tools=[tool], llm=llm)


def agent_workflow(llm, tool):
    return AgentWorkflow(agents=[FunctionAgent(name="reader", description="reads", tools=[tool], llm=llm)])


def react_agent(llm, tool):
    return ReActAgent(tools=[tool], llm=llm)


def agent_calls(world, title, tool="look_up"):
    world.says("", tool_calls=(ToolCall(id="call", name=tool, arguments=f'{{"title": "{title}"}}'),))


def react_calls(world, title, tool="look_up"):
    world.says(f'Thought: I look it up.\nAction: {tool}\nAction Input: {{"title": "{title}"}}')


AGENTS = {
    "function agent": (function_agent, agent_calls, "done"),
    "agent workflow": (agent_workflow, agent_calls, "done"),
    "react agent": (react_agent, react_calls, "Thought: I can answer.\nAnswer: done"),
}


@pytest.fixture
def budgets():
    return Budgets([Limit("user", usd="100")])


@pytest.mark.parametrize(("make", "calls"), [agent[:2] for agent in AGENTS.values()], ids=AGENTS)
@pytest.mark.parametrize("in_context", [False, True])
async def test_the_same_tool_call_again_and_again_ends_the_run(world, budgets, make, calls, in_context):
    shelf, llm = Shelf(), world.like()
    tool = shelf.look_up_in_context if in_context else shelf.look_up
    for _ in range(6):
        calls(world, "Emma", tool.__name__)
    with BudgetGuard(budgets, loop_guard=LoopGuard(max_same_calls=2)) as guard, attribution(user="ada"):
        with pytest.raises(BudgetExceededError) as caught:
            await make(llm, tool).run("hi")
        assert caught.value.rule == f"same tool call: {tool.__name__}"
        assert (caught.value.scope, caught.value.limit) == ("run", 2)
    assert len(shelf.asked) == 3  # the call that broke the rule ran; no model heard its result
    assert len(world.provider.requests) == 3
    assert [error.rule for error in guard.exceeded] == [f"same tool call: {tool.__name__}"]
    assert budgets.status("user", "ada").held_usd == 0


@pytest.mark.parametrize(("make", "calls", "last"), AGENTS.values(), ids=AGENTS)
async def test_other_arguments_and_other_runs_are_no_loop(world, budgets, make, calls, last):
    shelf, llm = Shelf(), world.like()
    with (
        BudgetGuard(budgets, loop_guard=LoopGuard(max_same_calls=2)) as guard,
        attribution(user="ada", run="job"),
    ):
        for _ in range(2):
            for title in ("Emma", "Persuasion", "Emma"):
                calls(world, title)
            world.says(last)
            assert "done" in str(await make(llm, shelf.look_up).run("hi"))
    assert len(shelf.asked) == 6
    assert guard.exceeded == ()


async def test_a_run_that_spends_ever_faster_ends(world, budgets):
    now = 0.0

    class Steady(Workflow):
        @step
        async def ask(self, event: StartEvent) -> StopEvent:
            nonlocal now
            for output_tokens in (10, 10, 10, 10_000, 10):
                now += 1
                world.says(input_tokens=10, output_tokens=output_tokens)
                await llm.achat(HI)
            return StopEvent()

    llm = world.like()
    rules = LoopGuard(rate_factor=2, rate_floor_usd="0.001", stretch_s=1, min_stretches=2, clock=lambda: now)
    with (
        BudgetGuard(budgets, loop_guard=rules),
        attribution(user="ada"),
        pytest.raises(BudgetExceededError, match="spend rate"),
    ):
        await Steady().run()
    assert len(world.provider.requests) == 4  # what broke the rule is paid and recorded


class Asks(Workflow):
    """Calls a tool as often as told, and then a model."""

    @step
    async def ask(self, event: StartEvent) -> StopEvent:
        for _ in range(event.times):
            event.tool(title="Emma")
        return StopEvent(str(await event.llm.achat(HI)))


async def test_a_tool_that_answers_by_another_of_its_methods_is_called_once(world, budgets):
    llm, tool = world.like(), FunctionTool.from_defaults(Shelf().look_up)
    with BudgetGuard(budgets, loop_guard=LoopGuard(max_same_calls=2)), attribution(user="ada"):
        world.says("fine")
        await Asks().run(times=2, tool=tool, llm=llm)
        with pytest.raises(BudgetExceededError, match="same tool call"):
            await Asks().run(times=3, tool=tool, llm=llm)
