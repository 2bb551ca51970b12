"""Several models behave like one, each call goes to the right one, and the bill says what that saved."""

import asyncio
from decimal import Decimal

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from pydantic import BaseModel

from examples.provider import Cut, Fail, ProviderAnswer, ProviderUsage, Stall, ToolCall
from langchain_tokenomics import BudgetCallbackHandler, BudgetExceededError, ModelRouter, track_cost
from langchain_tokenomics._route_request import Defaults, read_request
from tests.prices_by_hand import usd
from tokenomics_core import BudgetExceededError as CoreBudgetExceededError
from tokenomics_core import ConfigurationError
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.routing import Assessment, Router, Threshold, Tier
from tokenomics_core.routing._costs import input_tokens_of

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"
EASY, HARD = "What is the capital of France?", "Prove it, step by step."
CHEAP_CALL = usd(CHEAP, input=100, output=20)
DEAR_CALL = usd(DEAR, input=100, output=20)


class ByWord:
    """Sends what says `prove` to the strong tier."""

    name = "by_word"

    def __init__(self):
        self.seen = []

    def assess(self, request, tiers):
        self.seen.append(request)
        gain = 0.9 if "prove" in request.question.lower() else 0.0
        return Assessment(
            name=self.name, score=gain, probabilities={tiers[0].name: 1 - gain, tiers[-1].name: 1.0}
        )


class Runs(BaseCallbackHandler):
    """Counts starts and ends of model calls and keeps what their starts say."""

    run_inline = True

    def __init__(self):
        self.starts, self.ends, self.errors = [], 0, 0

    def on_chat_model_start(self, serialized, messages, *, metadata=None, tags=None, **kwargs):
        self.starts.append((metadata, tags, messages[0]))

    def on_llm_end(self, response, **kwargs):
        self.ends += 1

    def on_llm_error(self, error, **kwargs):
        self.errors += 1


@tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


class Capital(BaseModel):
    """A capital."""

    name: str


@pytest.fixture
def answers(world):
    """Let every model answer with its own name."""
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(lambda request: ProviderAnswer(text=f"I am {request.model}", usage=usage))
    return world


def make(world, **settings):
    models = {"cheap": world.openai(CHEAP), "dear": world.openai(DEAR)}
    settings = {"classifier": ByWord(), "policy": Threshold(0.5), **settings}
    return ModelRouter(models, **settings)


@pytest.fixture(params=["invoke", "ainvoke", "stream", "astream", "batch", "abatch"])
def ask(request):
    """Ask in every way there is; all are one decision and one call."""

    async def run(router, question, config=None):
        how = getattr(router, request.param)
        match request.param:
            case "invoke":
                return how(question, config).text
            case "ainvoke":
                return (await how(question, config)).text
            case "stream":
                return "".join(piece.text for piece in how(question, config))
            case "astream":
                return "".join([piece.text async for piece in how(question, config)])
            case "batch":
                return how([question], config)[0].text
            case _:
                return (await how([question], config))[0].text

    return run


# Where calls go, and what is told of them


async def test_every_way_to_ask_goes_to_the_tier_that_the_router_chooses(answers, ask):
    router = make(answers)
    assert await ask(router, EASY) == f"I am {CHEAP}"
    assert await ask(router, HARD) == f"I am {DEAR}"
    assert router.stats().decisions == 2
    assert router.stats().routed_usd == CHEAP_CALL + DEAR_CALL


async def test_a_call_is_one_run_whose_start_names_the_model_and_the_route(answers, ask):
    runs = Runs()
    await ask(make(answers), HARD, {"callbacks": [runs], "metadata": {"mine": 1}, "tags": ["own"]})
    ((metadata, tags, _),) = runs.starts
    assert (runs.ends, runs.errors) == (1, 0)
    assert metadata["ls_model_name"] == DEAR
    assert (metadata["route_tier"], metadata["route_classifier"], metadata["mine"]) == ("dear", "by_word", 1)
    assert set(tags) >= {"route:dear", "own"}
    assert answers.provider.count() == 1


async def test_costs_and_savings_of_the_bill_add_up_to_the_dearest_tier(answers, ask):
    router = make(answers)
    with track_cost() as cost:
        await ask(router, EASY)
        await ask(router, HARD)
    first, second = sorted(cost.calls, key=lambda record: record.cost_usd)
    assert (first.model, first.cost_usd, first.avoided_usd) == (CHEAP, CHEAP_CALL, DEAR_CALL - CHEAP_CALL)
    assert (second.model, second.avoided_usd) == (DEAR, 0)
    assert first.avoided_by == second.avoided_by == "route"
    assert cost.total_usd + cost.avoided_usd == 2 * DEAR_CALL
    assert cost.by("route_tier") == {"cheap": CHEAP_CALL, "dear": DEAR_CALL}
    assert first.attribution.tags["route_policy"] == "threshold"
    assert router.stats().net_saving_usd == cost.avoided_usd


def test_sync_and_async_decide_alike(answers):
    questions = [EASY, HARD, "Why?", "prove that", "x" * 4000]

    async def all_async(router):
        return [message.text for message in [await router.ainvoke(q) for q in questions]]

    settings = {"classifier": None, "policy": None}
    router = make(answers, **settings)
    here = [router.invoke(question).text for question in questions]
    assert asyncio.run(all_async(make(answers, **settings))) == here


# As a model in a chain


def test_it_stands_in_a_chain_and_inside_fallbacks(answers):
    prompt = ChatPromptTemplate([("human", "{q}")])
    chain = prompt | make(answers) | StrOutputParser()
    assert chain.invoke({"q": HARD}) == f"I am {DEAR}"
    assert "".join(chain.stream({"q": EASY})) == f"I am {CHEAP}"
    assert chain.batch([{"q": HARD}, {"q": EASY}]) == [f"I am {DEAR}", f"I am {CHEAP}"]
    answers.provider.inject(Fail(status=500), model=CHEAP)
    answers.provider.inject(Fail(status=500), model=DEAR)
    rescued = make(answers).with_fallbacks([answers.openai("gpt-4.1-nano")])
    assert rescued.invoke(EASY).text == "I am gpt-4.1-nano"


def test_tools_reach_the_chosen_tier_also_through_fallbacks_and_configs(world):
    call = ToolCall(name="search", arguments={"query": "x"}, id="call_1")
    world.engine.always(ProviderAnswer(text="", tool_calls=[call], usage=ProviderUsage(output_tokens=5)))
    plain = make(world)
    for router in (
        plain.bind_tools([search]),
        plain.with_config(tags=["kept"]).bind_tools([search]),
        plain.with_fallbacks([world.openai()]).bind_tools([search]),
    ):
        message = router.invoke(EASY)
        assert [each["name"] for each in message.tool_calls] == ["search"]
        assert message.response_metadata["model_name"] == CHEAP


def test_a_config_that_was_bound_reaches_the_call(answers):
    runs = Runs()
    router = make(answers).with_config(tags=["kept"], callbacks=[runs]).bind_tools([search])
    router.invoke(EASY, {"tags": ["own"]})
    assert {"kept", "own", "route:cheap"} <= set(runs.starts[0][1])


# The client's own: it says again what it has parsed.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output_is_that_of_the_chosen_tier(world, method):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)

    def answer(request):
        if method == "json_schema":
            return ProviderAnswer(text='{"name": "Paris"}', usage=usage)
        call = ToolCall(name="Capital", arguments={"name": "Paris"}, id="call_1")
        return ProviderAnswer(text="", tool_calls=[call], usage=usage)

    world.engine.always(answer)
    router = make(world)
    structured = router.with_structured_output(Capital, method=method)
    with track_cost() as cost:
        assert structured.invoke(EASY) == Capital(name="Paris")
        assert (await structured.ainvoke(HARD)) == Capital(name="Paris")
        assert list(structured.stream(EASY))[-1] == Capital(name="Paris")
    assert [record.model for record in cost.calls] == [CHEAP, DEAR, CHEAP]
    assert router.stats().decisions == 3


def test_fields_of_router_and_tier_can_be_configured(answers):
    router = make(answers, classifier=ByWord()).configurable_fields(
        quality_floor=ConfigurableField(id="floor")
    )
    assert router.invoke(EASY).text == f"I am {CHEAP}"
    assert router.with_config(configurable={"floor": 1.0}).invoke("A question").text == f"I am {CHEAP}"
    assert router.with_config(configurable={"floor": 0.99}).invoke(HARD).text == f"I am {DEAR}"
    inner = answers.openai(CHEAP).configurable_fields(model_name=ConfigurableField(id="cheap_model"))
    nested = ModelRouter(
        {"cheap": inner, "dear": answers.openai(DEAR)}, classifier=ByWord(), policy=Threshold(0.5)
    )
    assert nested.invoke(EASY, {"configurable": {"cheap_model": "gpt-4.1-nano"}}).text == "I am gpt-4.1-nano"


def test_no_key_is_in_a_dump(world):
    router = make(world)
    assert "unused" not in repr(router) + str(router.model_dump()) + str(router.to_json())


# What a call says of itself


@pytest.mark.parametrize("where", ["metadata", "configurable"])
def test_a_config_sets_task_floor_and_limit_of_one_call(answers, where):
    words = ByWord()
    router = make(answers, classifier=words)
    said = {"task": "maths", "quality_floor": 0.5, "max_cost_usd": "0.5", "thread_id": "t1"}
    router.invoke(HARD, {where: said})
    (request,) = words.seen
    assert (request.task, request.quality_floor) == ("maths", 0.5)
    assert (request.max_cost_usd, request.conversation) == (Decimal("0.5"), "t1")


def test_the_limit_of_a_call_keeps_it_cheap_or_refuses_it(answers):
    router = make(answers)
    between = CHEAP_CALL * 5
    assert router.invoke(HARD, {"metadata": {"max_cost_usd": between}}, max_tokens=20).text == f"I am {CHEAP}"
    with pytest.raises(CoreBudgetExceededError):
        router.invoke(HARD, {"metadata": {"max_cost_usd": "0.000000001"}})


def test_a_wrong_setting_is_refused_before_anything_is_sent(answers):
    with pytest.raises(ConfigurationError, match="quality_floor must be in"):
        make(answers).invoke(EASY, {"metadata": {"quality_floor": 7}})
    with pytest.raises(ConfigurationError, match="quality_floor must be in"):
        make(answers, quality_floor=7)
    with pytest.raises(ConfigurationError, match="streaming must be"):
        make(answers, streaming="both")
    with pytest.raises(ConfigurationError, match="tiers must map names"):
        ModelRouter("gpt-4o")
    with pytest.raises(ConfigurationError, match="tiers without a model: other"):
        make(answers, router=Router([Tier(name="other", model=CHEAP)]), classifier=None, policy=None)


def test_the_ask_is_the_last_human_words_without_tool_results_and_harness():
    messages = [
        SystemMessage("You are kind."),
        HumanMessage("Prove it."),
        AIMessage("", tool_calls=[{"name": "search", "args": {}, "id": "1"}]),
        ToolMessage("found 3", tool_call_id="1"),
        HumanMessage([{"type": "tool_result", "content": "4"}]),
        HumanMessage("<system-reminder>Use tools.</system-reminder>"),
        HumanMessage("Finish now.", additional_kwargs={"lc_source": "budget"}),
    ]
    request = read_request(messages, {}, {"tools": [search]}, Defaults())
    assert request.question == "Prove it."
    assert request.tools == ("search",)
    assert ("system", "You are kind.") in request.history
    assert ("tool", "found 3") in request.history
    again = read_request(messages[:2], {}, {"tools": [search]}, Defaults())
    assert again.turn == request.turn is not None
    assert read_request(messages[:2], {}, {}, Defaults()).turn is None
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    seen = read_request([HumanMessage(["Look:", image])], {}, {"max_tokens": 9}, Defaults())
    assert (seen.question, seen.needs, seen.max_output_tokens) == ("Look:", {"images"}, 9)
    asked = read_request([HumanMessage("passages")], {"metadata": {"route_question": "Why?"}}, {}, Defaults())
    assert asked.question == "Why?"
    assert ("human", "passages") in asked.history


def test_all_that_is_sent_counts_for_the_size_of_the_prompt():
    def size(messages, kwargs=None, **defaults):
        return input_tokens_of(read_request(messages, {}, kwargs or {}, Defaults(**defaults)), None)

    plain = size([HumanMessage("Why?")])
    reminder = f"<system-reminder>{'word ' * 1000}</system-reminder> Why?"
    assert size([HumanMessage(reminder)]) > plain + 1000
    call = {"name": "search", "args": {"query": "word " * 1000}, "id": "1"}
    loop = [HumanMessage("Why?"), AIMessage("", tool_calls=[call]), ToolMessage("found", tool_call_id="1")]
    assert size(loop) > plain + 1000
    schema = {"type": "function", "function": {"name": "f", "description": "word " * 1000}}
    assert size([HumanMessage("Why?")], {"tools": [schema]}) > plain + 1000
    assert size([HumanMessage("Why?")], {"tools": [search]}) > plain
    assert size([HumanMessage("Why?")], schemas="word " * 1000) > plain + 1000


def test_schemas_that_were_bound_send_a_prompt_up_that_would_not_fit_with_them(answers):
    @tool
    def verbose(query: str) -> str:
        """Search."""
        return query

    verbose.description = "word " * 3_000
    small = Tier(name="cheap", model=CHEAP, window=2_000)
    router = ModelRouter(
        [(small, answers.openai(CHEAP)), (Tier(name="dear", model=DEAR), answers.openai(DEAR))],
        classifier=ByWord(),
        policy=Threshold(0.5),
    )
    assert router.invoke(EASY).text == f"I am {CHEAP}"
    assert router.bind_tools([verbose]).invoke(EASY).text == f"I am {DEAR}"


def test_an_ask_is_neither_an_earlier_one_in_the_same_words_nor_anothers_of_the_same_number(answers):
    router = make(answers).bind_tools([search])
    answers.provider.inject(Fail(status=500), model=CHEAP)
    assert router.invoke(EASY).text == f"I am {DEAR}"
    assert router.invoke(EASY).text == f"I am {CHEAP}"
    assert router.invoke([HumanMessage(EASY, id="1")]).text == f"I am {CHEAP}"
    assert router.invoke([HumanMessage(HARD, id="1")]).text == f"I am {DEAR}"
    turns = {
        read_request(
            [HumanMessage(EASY)], {"metadata": {"user_id": user}}, {"tools": [search]}, Defaults()
        ).turn
        for user in ("ada", "bob")
    }
    assert len(turns) == 2


def test_a_soft_limit_holds_for_fallbacks_and_escalations_too(answers):
    router = make(answers)
    answers.provider.inject(Fail(status=500), model=CHEAP)
    with pytest.raises(Exception, match="told to fail"):
        router.invoke(EASY, {"metadata": {"downgrade_to": "cheap"}})
    assert [request.model for request in answers.provider.requests] == [CHEAP]


def test_a_loop_of_tools_is_one_decision(answers):
    router = make(answers).bind_tools([search])
    messages = [HumanMessage(HARD)]
    first = router.invoke(messages)
    call = {"name": "search", "args": {"query": "x"}, "id": "1"}
    messages += [AIMessage("", tool_calls=[call]), ToolMessage("found x", tool_call_id="1")]
    assert router.invoke(messages).text == first.text == f"I am {DEAR}"
    stats = router.stats()
    assert (stats.decisions, stats.sticky) == (1, 1)


def test_only_tiers_that_can_are_asked(answers):
    router = ModelRouter(
        [
            (Tier(name="cheap", model=CHEAP, capabilities=frozenset()), answers.openai(CHEAP)),
            (Tier(name="dear", model=DEAR), answers.openai(DEAR)),
        ],
        classifier=ByWord(),
        policy=Threshold(0.5),
    )
    assert router.invoke(EASY).text == f"I am {CHEAP}"
    assert router.bind_tools([search]).invoke(EASY).text == f"I am {DEAR}"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert router.invoke([HumanMessage(["Look:", image])]).text == f"I am {DEAR}"


# Errors


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_after_an_error_the_next_tier_answers(answers, ask, status):
    router, runs = make(answers), Runs()
    answers.provider.inject(Fail(status=status), model=CHEAP)
    assert await ask(router, EASY, {"callbacks": [runs]}) == f"I am {DEAR}"
    assert [metadata["route_tier"] for metadata, _, _ in runs.starts] == ["cheap", "dear"]
    assert (runs.ends, runs.errors) == (1, 1)
    assert router.stats().tiers["cheap"].errors == 1


async def test_the_last_error_is_raised_where_no_tier_answers(answers, ask):
    for model in (CHEAP, DEAR):
        answers.provider.inject(Fail(status=500), model=model)
    with pytest.raises(Exception, match=r"told to fail"):
        await ask(make(answers), EASY)


def test_an_error_that_is_not_handled_is_raised_at_once(answers):
    answers.provider.inject(Fail(status=500), model=CHEAP)
    with pytest.raises(Exception, match=r"told to fail"):
        make(answers, handles=(KeyError,)).invoke(EASY)


def test_a_stream_that_breaks_after_its_first_piece_is_not_begun_anew(answers):
    answers.provider.inject(Cut(after_chunks=2), model=CHEAP)
    router = make(answers)
    pieces = router.stream(EASY)
    assert next(pieces) is not None
    with pytest.raises(Exception, match=r"closed|incomplete|rror"):
        list(pieces)
    assert answers.provider.count(model=DEAR) == 0
    assert router.stats().tiers["cheap"].errors == 1


def test_a_refusal_of_a_budget_is_no_error_of_a_tier(answers):
    router = make(answers)
    handler = BudgetCallbackHandler(Budgets([Limit("user", usd="0.000000001")]))
    with pytest.raises(BudgetExceededError):
        router.invoke(EASY, {"callbacks": [handler], "metadata": {"user_id": "ada"}})
    assert router.stats().tiers["cheap"].errors == 0
    assert router.stats().tiers["dear"].errors == 0


def test_a_soft_limit_that_is_used_up_keeps_calls_in_the_cheap_tier(answers):
    budgets = Budgets([Limit("user", calls=1, action="downgrade:cheap")])
    router = make(answers, budgets=budgets)
    config = {"callbacks": [BudgetCallbackHandler(budgets)], "metadata": {"user_id": "ada"}}
    assert router.invoke(HARD, config).text == f"I am {DEAR}"
    assert router.invoke(HARD, config).text == f"I am {CHEAP}"
    assert asyncio.run(router.ainvoke(HARD, config)).text == f"I am {CHEAP}"


async def test_a_cancelled_call_is_counted_once_and_blames_nobody(answers):
    router = make(answers)
    stall = Stall()
    answers.provider.inject(stall, model=CHEAP)
    with track_cost() as cost:
        task = asyncio.create_task(router.ainvoke(EASY))
        await asyncio.to_thread(stall.reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stall.release.set()
    assert [record.outcome for record in cost.calls] == ["cancelled"]
    assert router.stats().tiers["cheap"].errors == 0


# Honest sums


def test_a_router_that_costs_more_than_it_saves_reports_a_loss(answers):
    class Paid(ByWord):
        """Asks a dear model before each decision."""

        def assess(self, request, tiers):
            found = super().assess(request, tiers)
            judge.invoke(request.question)
            return Assessment(
                name="paid", score=found.score, probabilities=found.probabilities, cost_usd=DEAR_CALL * 3
            )

    judge = answers.openai(DEAR)
    router = make(answers, classifier=Paid())
    with track_cost() as cost:
        router.invoke(EASY)
    assert router.stats().net_saving_usd == DEAR_CALL - CHEAP_CALL - 3 * DEAR_CALL < 0
    assert cost.total_usd + cost.avoided_usd == DEAR_CALL
    assert cost.avoided_usd < 0
    assert {record.attribution.tags["route_role"] for record in cost.calls} == {"router", "answer"}


def test_foreign_cache_marks_are_left_out_only_where_the_provider_changes(world):
    usage = ProviderUsage(input_tokens=100, output_tokens=20)
    world.engine.always(ProviderAnswer(text="hi", usage=usage))
    marked = [HumanMessage([{"type": "text", "text": EASY, "cache_control": {"type": "ephemeral"}}])]
    mixed = ModelRouter(
        {"cheap": world.openai(CHEAP), "dear": world.anthropic("claude-sonnet-4-5")},
        classifier=ByWord(),
        policy=Threshold(0.5),
    )
    runs = Runs()
    mixed.invoke(marked, {"callbacks": [runs]})
    assert "cache_control" not in runs.starts[-1][2][0].content[0]
    marked_hard = [HumanMessage([{"type": "text", "text": HARD, "cache_control": {"type": "ephemeral"}}])]
    mixed.invoke(marked_hard, {"callbacks": [runs]})
    assert runs.starts[-1][2][0].content[0]["cache_control"] == {"type": "ephemeral"}
    same = make(world)
    same.invoke(marked, {"callbacks": [runs]})
    assert "cache_control" in runs.starts[-1][2][0].content[0]
