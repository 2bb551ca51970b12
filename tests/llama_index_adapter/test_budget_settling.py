"""What a call held is replaced by what it took, to the nano-dollar, however it ends."""

import asyncio
import copy
import gc
import pickle
import threading
from decimal import Decimal

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockLLM
from llama_index.core.rate_limiter import BaseRateLimiter, TokenBucketRateLimiter
from llama_index.core.settings import Settings
from llama_index_instrumentation import root_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags

from examples.provider import Cut, Fail, ProviderAnswer, ProviderUsage, Stall
from llama_index_tokenomics import BudgetGuard, attribution, install_cost_tracking, track_cost
from llama_index_tokenomics._budget_gate import GATE
from tests.prices_by_hand import usd
from tokenomics_core.budgets import Budgets, Limit, MemoryBudgetStore, SQLiteBudgetStore
from tokenomics_core.errors import BudgetExceededError, TokenomicsError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.types import Cost, in_context

HI = [ChatMessage(role="user", content="hi")]
USED = {"input_tokens": 1_000, "output_tokens": 77}
WORDS = "The answer, my friend, is blowing in the wind. "


@pytest.fixture
def budgets():
    return Budgets([Limit("user", usd="10"), Limit("feature", tokens=1_000_000)])


@pytest.fixture
def guard(budgets):
    with attribution(user="ada", feature="search"), BudgetGuard(budgets) as guard:
        yield guard
    assert GATE.open_entries == 0


def ada(budgets):
    (line,) = budgets.status("user", "ada").lines
    return line


def held(budgets):
    return [
        budgets.status(scope, key).lines[0].held for scope, key in (("user", "ada"), ("feature", "search"))
    ]


def bounds(world):
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    bodies = [seen.body for seen in world.provider.requests]
    return [next((body[name] for name in names if name in body), None) for body in bodies]


async def every_way(llm):
    """Make eight calls, each another way."""
    llm.chat(HI)
    llm.complete("hi")
    list(llm.stream_chat(HI))
    list(llm.stream_complete("hi"))
    await llm.achat(HI)
    await llm.acomplete("hi")
    [piece async for piece in await llm.astream_chat(HI)]
    [piece async for piece in await llm.astream_complete("hi")]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("client", "model"),
    [("like", "gpt-4o"), ("openai", "gpt-4o"), ("responses", "gpt-5"), ("anthropic", "claude-haiku-4-5")],
)
async def test_settled_to_the_nano_dollar_on_every_way(world, tmp_path, client, model, store):
    world.engine.always(ProviderAnswer(text="an answer", usage=ProviderUsage(**USED)))
    kept = MemoryBudgetStore() if store == "memory" else SQLiteBudgetStore(tmp_path / "budget.db")
    budgets = Budgets([Limit("user", usd="10"), Limit("feature", tokens=1_000_000)], kept)
    ledger = MemoryLedger()
    with attribution(user="ada", feature="search"), track_cost() as cost, install_cost_tracking(ledger):
        async with BudgetGuard(budgets) as guard:
            await every_way(getattr(world, client)(model))
    truth = 8 * usd(model, input=1_000, output=77)
    assert budgets.status("user", "ada").spent_usd == cost.total_usd == ledger.total() == truth
    assert budgets.status("feature", "search").lines[0].spent == 8 * 1_077
    assert held(budgets) == [0, 0]
    assert world.provider.count() == len(cost.calls) == 8
    assert (guard.failures, guard.unguarded_calls, guard.exceeded) == (0, 0, ())
    if store == "sqlite":
        kept.close()


async def test_a_call_is_held_while_it_runs_and_settled_when_it_ends(world, budgets, guard):
    stall = Stall()
    world.provider.inject(stall)
    world.says(**USED)
    running = asyncio.create_task(world.like(max_tokens=100).achat(HI))
    await asyncio.to_thread(stall.reached.wait)
    # 3 tokens for the message, 1 for its role, 1 for its text, 3 to prime the answer
    assert ada(budgets).held == usd("gpt-4o", input=8, output=100)
    assert ada(budgets).spent == 0
    stall.release.set()
    await running
    assert (ada(budgets).held, ada(budgets).spent) == (0, usd("gpt-4o", input=1_000, output=77))


async def test_what_takes_more_than_was_held_is_booked_in_full_and_the_next_call_refused(world):
    world.engine.always(ProviderAnswer(text="long", usage=ProviderUsage(input_tokens=8, output_tokens=5_000)))
    budgets = Budgets([Limit("user", usd="0.01")])
    llm = world.like(max_tokens=100)
    with BudgetGuard(budgets), attribution(user="ada"):
        llm.chat(HI)
        with pytest.raises(BudgetExceededError):
            await llm.achat(HI)
    assert budgets.status("user", "ada").spent_usd == usd("gpt-4o", input=8, output=5_000) > Decimal("0.01")
    assert budgets.counters.overshoots == 1


async def test_what_fails_before_it_is_billed_holds_nothing(world, budgets, guard):
    llm = world.like()
    for _ in range(4):
        world.provider.inject(Fail(status=400))
    with pytest.raises(Exception, match="told to fail"):
        llm.chat(HI)
    with pytest.raises(Exception, match="told to fail"):
        await llm.achat(HI)
    with pytest.raises(Exception, match="told to fail"):
        list(llm.stream_chat(HI))
    with pytest.raises(Exception, match="told to fail"):
        [piece async for piece in await llm.astream_chat(HI)]
    assert held(budgets) == [0, 0]
    assert ada(budgets).spent == 0


async def test_a_stream_that_breaks_or_is_left_pays_for_what_arrived(world, budgets, guard):
    llm = world.like()
    with track_cost() as cost:
        for _ in range(3):
            world.says(WORDS * 20, input_tokens=10, output_tokens=200)
        world.provider.inject(Cut(after_chunks=3))
        with pytest.raises(httpx.RemoteProtocolError):
            list(llm.stream_chat(HI))
        stream = llm.stream_chat(HI)
        next(stream)
        stream.close()
        stream = await llm.astream_chat(HI)
        await anext(stream)
        await stream.aclose()
    assert [record.outcome for record in cost.calls] == ["error", "aborted", "aborted"]
    assert 0 < ada(budgets).spent == cost.total_usd
    assert held(budgets) == [0, 0]


def test_a_stream_that_nobody_reads_holds_until_it_is_dropped(world, budgets, guard):
    llm = world.like(max_tokens=100)
    stream = llm.stream_chat(HI)
    assert ada(budgets).held == usd("gpt-4o", input=8, output=100)
    del stream
    gc.collect()
    assert held(budgets) == [0, 0]
    assert ada(budgets).spent == 0
    assert world.provider.requests == []


async def test_a_cancelled_call_pays_its_input_and_holds_nothing(world, budgets, guard):
    stall = Stall()
    world.provider.inject(stall)
    world.says(**USED)
    running = asyncio.create_task(world.like().achat(HI))
    await asyncio.to_thread(stall.reached.wait)
    assert ada(budgets).held > 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stall.release.set()
    assert held(budgets) == [0, 0]
    assert ada(budgets).spent == usd("gpt-4o", input=8)


async def test_a_call_cancelled_while_it_waits_for_its_turn_was_never_sent(world, budgets, guard):
    class Never(BaseRateLimiter):
        def acquire(self, num_tokens=0):
            raise AssertionError

        async def async_acquire(self, num_tokens=0):
            waiting.set()
            await asyncio.Event().wait()

    waiting = asyncio.Event()
    with track_cost() as cost:
        running = asyncio.create_task(world.like(rate_limiter=Never()).achat(HI))
        await waiting.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert cost.calls == []
    assert held(budgets) == [0, 0]
    assert ada(budgets).spent == 0


async def test_a_refusal_inside_the_handling_of_a_timeout_is_no_call(world):
    """The error of the first call is the context of the refusal, and must not make it look sent."""

    def ask_again_after_a_timeout():
        try:
            raise TimeoutError  # noqa: TRY301 - as a client does
        except TimeoutError:
            world.like().chat(HI)

    budgets = Budgets([Limit("user", calls=0)])
    with (
        track_cost() as cost,
        BudgetGuard(budgets),
        attribution(user="ada"),
        pytest.raises(BudgetExceededError),
    ):
        ask_again_after_a_timeout()
    assert cost.calls == []


# Requests without a bound


@pytest.mark.parametrize(
    ("client", "model"), [("like", "gpt-4o"), ("openai", "gpt-4o"), ("responses", "gpt-5")]
)
async def test_a_request_without_a_bound_is_told_one(world, client, model):
    world.engine.always(ProviderAnswer(text="an answer", usage=ProviderUsage(**USED)))
    llm = getattr(world, client)(model)
    with BudgetGuard(Budgets([Limit("user", usd="10")]), max_output_tokens=500), attribution(user="ada"):
        await every_way(llm)
    assert bounds(world) == [500] * 8


def test_a_bound_is_fitted_to_what_is_left_and_below_the_least_refused(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(input_tokens=8, output_tokens=300)))
    llm = world.like()
    budgets = Budgets([Limit("user", tokens=1_000)])
    with BudgetGuard(budgets), attribution(user="ada"):
        for _ in range(3):
            llm.chat(HI)
        with pytest.raises(BudgetExceededError):
            llm.chat(HI)
    told = bounds(world)
    assert told == [1_000 - 8, 1_000 - 308 - 8, 1_000 - 616 - 8]


def test_what_no_limit_touches_is_sent_as_it_is(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    llm = world.like()
    with BudgetGuard(Budgets([Limit("user", usd="1")])):
        llm.chat(HI)
    with BudgetGuard(Budgets([Limit("request", usd="1")])), attribution(user="ada"):
        llm.chat(HI)
    assert bounds(world) == [None, 4_096]


@pytest.mark.parametrize(
    ("settings", "arguments", "sent"),
    [
        ({"max_tokens": 50}, {}, 50),
        ({"max_tokens": 50}, {"max_tokens": 70}, 50),
        ({}, {"max_tokens": 70}, 70),
        ({}, {"max_completion_tokens": 70}, 70),
        ({"additional_kwargs": {"max_tokens": 30}, "max_tokens": 50}, {"max_tokens": 70}, 30),
    ],
)
def test_the_bound_that_is_sent_is_the_one_that_is_held(world, settings, arguments, sent):
    stall, told = Stall(), []
    world.provider.inject(stall)
    world.says(**USED)
    budgets = Budgets([Limit("user", tokens=10_000)])
    with BudgetGuard(budgets), attribution(user="ada"):
        thread = threading.Thread(target=in_context(lambda: world.like(**settings).chat(HI, **arguments)))
        thread.start()
        stall.reached.wait()
        told.append(budgets.status("user", "ada").lines[0].held)
        stall.release.set()
        thread.join()
    assert bounds(world) == [sent]
    assert told == [8 + sent]


def test_several_answers_tools_and_schemas_count(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    llm, anthropic = world.like(max_tokens=100), world.anthropic(max_tokens=100)
    tool = {"type": "function", "function": {"name": "find", "description": "Find " + "a thing " * 100}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"description": "word " * 100}}}
    asked = []
    for arguments in ({}, {"n": 3}, {"tools": [tool]}, {"response_format": schema}):
        with BudgetGuard(Budgets([Limit("user", tokens=1)])), attribution(user="ada"):
            with pytest.raises(BudgetExceededError) as caught:
                llm.chat(HI, **arguments)
            asked.append(caught.value.requested)
    plain, several, tools, schemas = asked
    assert (plain, several) == (108, 308)
    assert tools > 108 + 200
    assert schemas > 108 + 100
    with BudgetGuard(Budgets([Limit("user", tokens=1)])), attribution(user="ada"):
        with pytest.raises(BudgetExceededError) as caught:
            anthropic.chat(HI, tools=[{"name": "find", "description": "Find " + "a thing " * 100}])
        assert caught.value.requested > 108 + 200


def test_without_fitting_requests_are_left_alone_and_the_default_is_assumed(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    budgets = Budgets([Limit("user", tokens=4_200)])
    with BudgetGuard(budgets, fit_output=False), attribution(user="ada"):
        world.like().chat(HI)
        with pytest.raises(BudgetExceededError) as caught:
            world.like().chat(HI)
        assert caught.value.requested == 8 + 4_096
    assert bounds(world) == [None]


# Models, limiters, handlers


class Layered(CustomLLM):
    """A model on LlamaIndex's base class, whose chat goes through its text method."""

    calls: int = 0

    @property
    def metadata(self):
        return LLMMetadata(model_name="gpt-4o")

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        self.calls += 1
        return CompletionResponse(text="one", raw={"usage": {"prompt_tokens": 100, "completion_tokens": 20}})

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


async def test_a_call_that_passes_three_layers_is_one_call(budgets, guard):
    llm = Layered()
    llm.complete("hi")
    llm.chat(HI)
    await llm.achat(HI)
    assert llm.calls == 3
    assert ada(budgets).spent == 3 * usd("gpt-4o", input=100, output=20)
    assert held(budgets) == [0, 0]


async def test_layers_never_hold_twice(budgets):
    exact = Budgets([Limit("user", calls=3)])
    with BudgetGuard(exact), attribution(user="ada"):
        llm = Layered()
        await llm.achat(HI)
        llm.chat(HI)
        llm.complete("hi")
        with pytest.raises(BudgetExceededError):
            await llm.achat(HI)
    assert llm.calls == 3


def test_models_made_before_and_after_are_covered_and_left_as_they_were(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    bucket = TokenBucketRateLimiter(requests_per_minute=1_000)
    counting = TokenCountingHandler()
    before = world.like(max_tokens=5, rate_limiter=bucket, callback_manager=CallbackManager([counting]))
    event_handlers, span_handlers = list(root_dispatcher.event_handlers), list(root_dispatcher.span_handlers)
    budgets = Budgets([Limit("all", calls=2)])
    guard = BudgetGuard(budgets).install()
    after = world.openai(max_tokens=5)
    before.chat(HI)
    after.chat(HI)
    for llm in (before, after):
        with pytest.raises(BudgetExceededError):
            llm.chat(HI)
    copies = [copy.copy(before), before.model_copy(), pickle.loads(pickle.dumps(after.rate_limiter))]
    assert guard.install() is guard
    guard.uninstall()
    guard.uninstall()
    assert before.rate_limiter is bucket
    assert after.rate_limiter is None
    assert before.callback_manager.handlers == [counting]
    assert after.callback_manager.handlers == []
    assert (root_dispatcher.event_handlers, root_dispatcher.span_handlers) == (event_handlers, span_handlers)
    assert GATE.open_entries == 0
    before.chat(HI)
    copies[0].chat(HI)
    assert world.provider.count() == 4
    guard.install()
    with pytest.raises(BudgetExceededError):
        before.chat(HI)
    guard.uninstall()


def test_a_list_of_handlers_that_models_share_is_left_as_it_was(monkeypatch):
    """LlamaIndex gives managers without handlers the very list of the one in `Settings`."""
    monkeypatch.setattr(Settings, "_callback_manager", CallbackManager([TokenCountingHandler()]))
    shared = Settings.callback_manager.handlers
    with BudgetGuard(Budgets([Limit("all", usd="1")])):
        for _ in range(3):
            llm = Layered()
            assert llm.callback_manager.handlers is shared
            llm.chat(HI)
        del llm
        gc.collect()
        assert len(shared) == 2
    assert len(shared) == 1


async def test_a_limiter_that_a_model_has_is_asked_first_and_still_decides(world, budgets, guard):
    class Counted(BaseRateLimiter):
        def __init__(self):
            self.asked = []

        def acquire(self, num_tokens=0):
            self.asked.append(ada(budgets).held)

        async def async_acquire(self, num_tokens=0):
            self.asked.append(ada(budgets).held)
            raise LookupError("not now")

    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    limiter = Counted()
    llm = world.like(rate_limiter=limiter)
    llm.chat(HI)
    with pytest.raises(LookupError):
        await llm.achat(HI)
    replacing = Counted()
    llm.rate_limiter = replacing
    llm.chat(HI)
    assert (limiter.asked, replacing.asked) == ([0, 0], [0])
    assert held(budgets) == [0, 0]
    assert world.provider.count() == 2


def test_two_guards_both_have_to_agree_and_the_first_gets_its_money_back(world, budgets, guard):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    tight = Budgets([Limit("user", calls=1)])
    llm = world.like(max_tokens=100)
    with BudgetGuard(tight):
        llm.chat(HI)
        with pytest.raises(BudgetExceededError):
            llm.chat(HI)
        assert held(budgets) == [0, 0]
    llm.chat(HI)
    assert ada(budgets).spent == 2 * usd("gpt-4o", input=1_000, output=77)
    assert tight.status("user", "ada").lines[0].spent == 1


def test_a_stream_that_outlives_its_guard_is_settled(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    budgets = Budgets([Limit("user", usd="1")])
    with attribution(user="ada"):
        with BudgetGuard(budgets):
            stream = world.like().stream_chat(HI)
        list(stream)
    assert budgets.status("user", "ada").spent_usd == usd("gpt-4o", input=1_000, output=77)


def test_users_may_come_from_instrument_tags(world):
    world.engine.always(ProviderAnswer(text="yes", usage=ProviderUsage(**USED)))
    budgets = Budgets([Limit("user", calls=1)])
    llm = world.like()
    with BudgetGuard(budgets):
        with instrument_tags({"user_id": "ada"}):
            llm.chat(HI)
            with pytest.raises(BudgetExceededError):
                llm.chat(HI)
        with instrument_tags({"user_id": "bo"}):
            llm.chat(HI)


def test_models_that_are_gone_are_forgotten(guard):
    for _ in range(20):
        MockLLM(max_tokens=5)
        with pytest.raises(TokenomicsError):  # nobody has a price for a mock
            MockLLM(max_tokens=5).complete("hi")
    gc.collect()
    assert GATE.open_entries <= 2


# What must not go wrong quietly


class AsksItself(Layered):
    """A model that asks its limiter once more by itself, before it sends."""

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        self.rate_limiter.acquire()
        self.calls += 1
        return CompletionResponse(text="one", raw={"usage": {"prompt_tokens": 100, "completion_tokens": 20}})


def test_a_call_that_is_asked_for_twice_is_held_once():
    once = Budgets([Limit("user", calls=1)])
    with BudgetGuard(once), attribution(user="ada"):
        llm = AsksItself()
        llm.complete("hi")
    assert llm.calls == 1
    assert (ada(once).spent, ada(once).held) == (1, 0)


class Unprintable:
    """A tag that cannot be written down."""

    def __str__(self):
        raise ZeroDivisionError


def test_a_call_that_cannot_be_read_is_not_sent(budgets, guard):
    llm = Layered()
    with (
        instrument_tags({"user_id": Unprintable()}),
        pytest.raises(TokenomicsError, match="could not be read"),
    ):
        llm.complete("hi")
    assert llm.calls == 0
    assert held(budgets) == [0, 0]


class Rebate:
    """Prices that owe the caller money, which is a mistake."""

    def cost(self, usage, model, provider=None, at=None):
        return Cost(total_usd=Decimal(-1), source="a typing error")


class Unwritable:
    """A store whose settlements fail as long as it is told so, in a way that no store should."""

    failing = 0

    def settle(self, hold, spent):
        if self.failing:
            self.failing -= 1
            raise RuntimeError("this store has a defect")
        return super().settle(hold, spent)


class UnwritableMemory(Unwritable, MemoryBudgetStore):
    pass


class UnwritableFile(Unwritable, SQLiteBudgetStore):
    pass


def test_a_cost_that_is_no_amount_books_the_worst_case(world):
    world.says(**USED)
    budgets = Budgets([Limit("user", usd="10")])
    with BudgetGuard(budgets, prices=Rebate()) as guard, attribution(user="ada"):
        world.like(max_tokens=100).chat(HI)
    assert ada(budgets).held == 0
    assert ada(budgets).spent == usd("gpt-4o", input=8, output=100)
    assert guard.failures == 1


@pytest.mark.parametrize("kind", [UnwritableMemory, UnwritableFile])
@pytest.mark.parametrize("times", [1, 4])
async def test_what_a_defective_store_did_not_take_is_booked_when_it_does(world, tmp_path, kind, times):
    for _ in range(2):
        world.says(**USED)
    store = UnwritableFile(tmp_path / "budget.db") if kind is UnwritableFile else UnwritableMemory()
    budgets = Budgets([Limit("user", usd="10")], store)
    llm = world.like(max_tokens=100)
    async with BudgetGuard(budgets) as guard:
        with attribution(user="ada"):
            store.failing = times
            await llm.achat(HI)
            await guard.aflush()
            store.failing = 0
            await llm.achat(HI)
        await guard.aflush()
        assert ada(budgets).held == 0
        assert ada(budgets).spent == usd("gpt-4o", input=8, output=100) + usd(
            "gpt-4o", input=1_000, output=77
        )
        assert guard.failures == 1
    if kind is UnwritableFile:
        store.close()
