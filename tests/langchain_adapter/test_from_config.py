"""What a replay says is what a stream costs, to the nano-dollar, when LangChain really sends it."""

from __future__ import annotations

import functools
import operator
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI

from examples.stdlib_corpus import build_corpus
from examples.traffic_applications import LangChainApplication
from examples.traffic_stream import CHEAP, DEAR, open_stand_in, run_stream, stream
from examples.traffic_trial import BUDGETS, TIERS, became, became_in_replay, send
from langchain_tokenomics import BudgetExceededError, ModelRouter, attribution, from_config, track_cost
from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic import TrafficRecord, read_traffic, simulate_traffic, write_traffic
from tokenomics_core.traffic._replay_context import shortened
from tokenomics_core.traffic._replay_messages import Asked
from tokenomics_core.types import Usage

CACHE = "[ledger]\n[cache]\nmax_error = 0.3\nexplore = 0.1\nttl_s = 400000\n"


@pytest.fixture(scope="module")
def requests():
    return stream(120, seed=5)


@pytest.fixture(scope="module")
def log(requests, tmp_path_factory):
    """Run the stream without anything, write what a gateway sees, and read it as a log."""
    path = tmp_path_factory.mktemp("log") / "traffic.jsonl"
    with open_stand_in() as stand_in, track_cost() as plain:
        outcomes = run_stream(requests, LangChainApplication(stand_in[0].openai_url), stand_in)
    write_traffic([outcome.sent for outcome in outcomes], path)
    records = list(read_traffic(path))
    assert simulate_traffic(records, Settings().plan()).log_usd == plain.total_usd
    return records


def really(requests, settings):
    return send(requests, settings, from_config, LangChainApplication)


@pytest.mark.parametrize("toml", [CACHE, CACHE + BUDGETS], ids=["cache", "cache and budgets"])
def test_the_simulated_cost_is_what_the_stream_really_costs(requests, log, toml):
    settings = Settings.load(toml)
    simulated = simulate_traffic(log, settings.plan())
    total, outcomes = really(requests, settings)
    assert simulated.usd == total < simulated.log_usd
    assert list(map(became_in_replay, simulated.calls)) == list(map(became, outcomes))
    kinds = Counter(call.served for call in simulated.calls)
    assert kinds["exact"]
    assert kinds["semantic"]
    assert bool(kinds["refused"]) == (settings.budgets is not None)
    assert simulated.estimated_calls == 0


def test_with_both_tiers_in_the_log_a_routed_stream_costs_what_is_simulated(requests, log):
    some = [request for request in requests if not request.tools][:60]
    names = {request.id for request in some}
    others = []
    with open_stand_in() as stand_in:
        for model in (CHEAP, DEAR):
            asked = [replace(request, model=model) for request in some]
            outcomes = run_stream(asked, LangChainApplication(stand_in[0].openai_url), stand_in)
            others += [outcome.sent for outcome in outcomes]
    settings = Settings.load(f"[ledger]\n[cache]\n[router]\nshare = 0.4\n{TIERS}")
    kept = [record for record in log if record.id in names]
    simulated = simulate_traffic(kept, settings.plan(), answers=others)
    total, outcomes = really(some, settings)
    assert simulated.usd == total
    assert list(map(became_in_replay, simulated.calls)) == list(map(became, outcomes))
    assert simulated.estimated_calls == 0
    assert set(simulated.routed) == {"weak", "strong"}
    estimated = simulate_traffic(kept, settings.plan())
    assert estimated.estimated_calls > 0
    assert float(estimated.usd) == pytest.approx(float(total), rel=0.15)


def test_a_used_up_soft_limit_lowers_tiers_in_both(requests, log):
    toml = (
        CACHE
        + f"""
[budgets]
max_output_tokens = 100
[[budgets.limits]]
scope = "all"
usd = "0.002"
action = "downgrade:weak"
[router]
share = 0.9
{TIERS}
"""
    )
    some = [request for request in requests if not request.tools][:30]
    names = {request.id for request in some}
    settings = Settings.load(toml)
    simulated = simulate_traffic([record for record in log if record.id in names], settings.plan())
    _, outcomes = really(some, settings)
    assert list(map(became_in_replay, simulated.calls)) == list(map(became, outcomes))
    assert simulated.routed["weak"] > simulated.routed["strong"] > 0


def test_a_compressed_prompt_is_what_the_chain_sends(requests):
    template = "Context:\n---\n{context}\n---\nQuestion: {question}"
    passages = [document.text.replace("\n\n", "\n") for document in build_corpus()[40:80]]
    settings = Settings.load("[ledger]\n[compress]\nratio = 0.4\n").with_value("compress.template", template)
    prompt = ChatPromptTemplate([("human", template)])
    asked = [
        {"context": passages[at : at + 4], "question": f"What does it say about {passages[at][:30]}?"}
        for at in range(0, 32, 4)
    ]

    def sent_by(url, *steps):
        model = ChatOpenAI(model=CHEAP, base_url=url, api_key="unused")
        chain = functools.reduce(operator.or_, [*steps, RunnableLambda(_joined), prompt, model])
        return [chain.invoke(given).usage_metadata for given in asked]

    with open_stand_in() as stand_in, from_config(settings) as saving:
        url = stand_in[0].openai_url
        log = [
            TrafficRecord(
                at=datetime(2026, 3, 2, 12, number, tzinfo=UTC),
                model=CHEAP,
                messages=[{"role": "user", "content": prompt.invoke(_joined(given)).messages[0].text}],
                answer="whatever it was",
                usage=Usage(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"]),
            )
            for number, (given, usage) in enumerate(zip(asked, sent_by(url), strict=True))
        ]
        real = sent_by(url, saving.compressor.as_runnable())
    simulated = simulate_traffic(log, settings.plan())
    assert [call.usage.input_tokens for call in simulated.calls] == [usage["input_tokens"] for usage in real]
    assert simulated.shortened == len(asked)
    # The answers to the shorter prompts are not in the log; it says so.
    assert [call.usage.output_tokens for call in simulated.calls] == [r.usage.output_tokens for r in log]
    assert simulated.estimated_calls == len(asked)
    assert "the log holds no answer to that" in simulated.unknowns[0]
    assert simulated.saved_by["compress"] == simulated.saved_usd > 0


def test_a_cut_conversation_is_what_the_chain_sends():
    settings = Settings.load("[ledger]\n[compress]\nhistory_tokens = 120\n")
    talk = [{"role": "system", "content": "Be brief, and answer from the notes."}]
    asked = []
    for number in range(8):
        talk = [
            *talk,
            {"role": "user", "content": f"What did note {number} say about the {number * 7}th day?"},
        ]
        asked.append(talk)
        talk = [*talk, {"role": "assistant", "content": f"It said {number * 11} times that it rained. " * 3}]
    with open_stand_in() as stand_in, from_config(settings) as saving:
        chain = saving.history | ChatOpenAI(model=CHEAP, base_url=stand_in[0].openai_url, api_key="unused")
        sent = []
        for messages in asked:
            chain.invoke(messages)
            sent.append(stand_in[0].requests[-1].body["messages"])
    plan = settings.plan().compression
    cut = [shortened(Asked(model=CHEAP, provider="openai", messages=each), plan).messages for each in asked]
    assert cut == sent
    assert cut[0] == asked[0]
    assert len(cut[-1]) < len(asked[-1])


def _joined(given):
    return {**given, "context": "\n\n".join(given["context"])}


# -- what the object is


def test_a_file_is_read_and_its_parts_stand_ready(tmp_path):
    path = tmp_path / "tokenomics.toml"
    path.write_text(
        '[ledger]\npath = "spend.db"\n[compress]\nratio = 0.5\nhistory_tokens = 100\n', encoding="utf-8"
    )
    settings = Settings.load(path).with_value("ledger.path", str(tmp_path / "spend.db"))
    with from_config(settings) as saving:
        assert saving.cache is saving.budgets is saving.router is None
        assert saving.history.max_tokens == 100
        words = " ".join(f"Word {number} stands here." for number in range(40))
        kept = saving.compressor.compress_documents([Document(words)], "Where does word 7 stand?")
        assert 0 < len(kept[0].page_content) < len(words)
    assert (tmp_path / "spend.db").exists()


def test_what_is_off_leaves_a_model_as_it_is():
    with from_config("") as saving:
        wrapped = saving.wrap(FakeListChatModel(responses=["yes"]))
        assert wrapped.invoke("Is it?").content == "yes"
        assert saving.callbacks == []


def test_a_spent_budget_refuses_a_wrapped_model_and_spares_answers_from_the_cache(world):
    world.says("It is four.", input_tokens=10, output_tokens=3)
    toml = (
        '[ledger]\n[cache]\n[budgets]\nmax_output_tokens = 9\n[[budgets.limits]]\nscope = "user"\ncalls = 1\n'
    )
    with from_config(toml) as saving, attribution(user="ada"):
        model = saving.wrap(world.openai("gpt-4.1-nano"))
        assert model.invoke("What is two and two?").content == "It is four."
        assert model.invoke("What is two and two?").content == "It is four."
        with pytest.raises(BudgetExceededError):
            model.invoke("And what is three and three?")
        assert saving.ledger.totals().calls == 2
        assert saving.ledger.total() == Decimal("0.0000022")
        assert saving.budgets.status("user", "ada").spent_calls == 1


async def test_async_calls_are_recorded_guarded_and_cached_alike(world, tmp_path):
    world.says("It is four.", input_tokens=10, output_tokens=3)
    toml = f"""
[ledger]
path = "{tmp_path / "spend.db"}"
[cache]
path = "{tmp_path / "cache.db"}"
[budgets]
path = "{tmp_path / "budgets.db"}"
max_output_tokens = 9
[[budgets.limits]]
scope = "user"
calls = 1
"""
    with from_config(toml) as saving, attribution(user="ada"):
        model = saving.wrap(world.openai("gpt-4.1-nano"))
        assert (await model.ainvoke("What is two and two?")).content == "It is four."
        assert (await model.ainvoke("What is two and two?")).content == "It is four."
        with pytest.raises(BudgetExceededError):
            await model.ainvoke("And what is three and three?")
        for handler in saving.callbacks:
            await handler.aflush()
        assert saving.ledger.totals().calls == 2


def test_each_tier_asks_for_its_own_model_of_one_that_is_given_or_for_those_that_are(world):
    toml = f'[router]\nthreshold = -1.0\nclassifier = "heuristic"\n{TIERS}'
    with from_config(toml) as saving:
        router = saving.wrap(world.openai("gpt-4o"))
        assert isinstance(router, ModelRouter)
        assert [model.model_name for model in router.models.values()] == [CHEAP, DEAR]
        world.says("From the strong one.")
        assert router.invoke([HumanMessage("Why?")]).text == "From the strong one."
        assert world.provider.requests[-1].model == DEAR
        given = saving.wrap({"weak": world.openai("a"), "strong": world.openai("b")})
        assert [model.model_name for model in given.models.values()] == ["a", "b"]
        with pytest.raises(ConfigurationError, match="no model for tier 'strong'"):
            saving.wrap({"weak": world.openai("a")})


@pytest.mark.parametrize("model", ["gpt-4o", None, object()])
def test_what_is_no_model_is_not_wrapped(model):
    with from_config("") as saving, pytest.raises(ConfigurationError, match="nothing was changed"):
        saving.wrap(model)


def test_models_of_tiers_need_a_router():
    with from_config("") as saving, pytest.raises(ConfigurationError, match="need a \\[router\\]"):
        saving.wrap({"weak": FakeListChatModel(responses=["yes"])})


def test_an_agent_has_its_cache_before_its_budgets():
    toml = '[cache]\n[[budgets.limits]]\nscope = "user"\ncalls = 1\n'
    with from_config(toml) as saving:
        assert [type(part).__name__ for part in saving.middleware] == [
            "CachingMiddleware",
            "BudgetMiddleware",
        ]
