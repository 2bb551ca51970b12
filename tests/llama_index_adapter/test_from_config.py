"""What a replay says is what a stream costs, to the nano-dollar, when LlamaIndex really sends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from examples.traffic_applications import LlamaIndexApplication
from examples.traffic_stream import CHEAP, DEAR, open_stand_in, run_stream, stream
from examples.traffic_trial import BUDGETS, TIERS, became, became_in_replay, send
from llama_index_tokenomics import RoutingLLM, attribution, from_config, track_cost
from tokenomics_core.config import Settings
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.traffic import read_traffic, simulate_traffic, write_traffic

CACHE = "[ledger]\n[cache]\nmax_error = 0.3\nexplore = 0.1\nttl_s = 400000\n"


@pytest.fixture(scope="module")
def requests():
    return stream(120, seed=7)


@pytest.fixture(scope="module")
def log(requests, tmp_path_factory):
    """Run the stream without anything, write what a gateway sees, and read it as a log."""
    path = tmp_path_factory.mktemp("log") / "traffic.jsonl"
    with open_stand_in() as stand_in, track_cost() as plain:
        outcomes = run_stream(requests, LlamaIndexApplication(stand_in[0].openai_url), stand_in)
    write_traffic([outcome.sent for outcome in outcomes], path)
    records = list(read_traffic(path))
    assert simulate_traffic(records, Settings().plan()).log_usd == plain.total_usd
    return records


def really(requests, settings):
    return send(requests, settings, from_config, LlamaIndexApplication)


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


def test_with_both_tiers_in_the_log_a_routed_stream_costs_what_is_simulated(requests, log):
    some = [request for request in requests if not request.tools][:60]
    names = {request.id for request in some}
    others = []
    with open_stand_in() as stand_in:
        for model in (CHEAP, DEAR):
            asked = [replace(request, model=model) for request in some]
            outcomes = run_stream(asked, LlamaIndexApplication(stand_in[0].openai_url), stand_in)
            others += [outcome.sent for outcome in outcomes]
    settings = Settings.load(f"[ledger]\n[cache]\n[router]\nshare = 0.4\n{TIERS}")
    kept = [record for record in log if record.id in names]
    simulated = simulate_traffic(kept, settings.plan(), answers=others)
    total, outcomes = really(some, settings)
    assert simulated.usd == total
    assert list(map(became_in_replay, simulated.calls)) == list(map(became, outcomes))
    assert simulated.estimated_calls == 0
    assert set(simulated.routed) == {"weak", "strong"}


# -- what the object is


def test_a_file_is_read_and_its_parts_stand_ready(tmp_path):
    path = tmp_path / "tokenomics.toml"
    path.write_text("[compress]\nratio = 0.5\nhistory_tokens = 100\n", encoding="utf-8")
    saving = from_config(path)
    assert saving.cache is saving.budgets is saving.router is saving.guard is saving.ledger is None
    assert saving.memory().max_tokens == 100
    words = " ".join(f"Word {number} stands here." for number in range(40))
    node = NodeWithScore(node=TextNode(text=words), score=1.0)
    (cutter,) = saving.postprocessors
    kept = cutter.postprocess_nodes([node], QueryBundle("Where does word 7 stand?"))
    assert 0 < len(kept[0].node.get_content()) < len(words)
    saving.close()


def test_what_is_off_leaves_a_model_as_it_is():
    llm = MockLLM()
    with from_config("") as saving:
        assert saving.wrap(llm) is llm
        assert saving.postprocessors == []
        with pytest.raises(ConfigurationError, match="no history_tokens"):
            saving.memory()


def test_a_spent_budget_refuses_every_model_and_spares_answers_from_the_cache():
    toml = '[ledger]\n[cache]\n[[budgets.limits]]\nscope = "user"\ncalls = 1\n'
    with open_stand_in() as stand_in:
        with from_config(toml) as saving, attribution(user="ada"):
            llm = saving.wrap(_model(stand_in[0].openai_url))
            asked = [ChatMessage("What is two and two?")]
            first = llm.chat(asked).message.content
            assert llm.chat(asked).message.content == first
            with pytest.raises(BudgetExceededError):
                llm.chat([ChatMessage("And what is three and three?")])
            assert saving.ledger.totals().calls == 2
            assert saving.ledger.total() > Decimal(0)
            assert saving.budgets.status("user", "ada").spent_calls == 1
        assert llm.llm.rate_limiter is None
        assert stand_in[0].count() == 1


def test_each_tier_asks_for_its_own_model_of_one_that_is_given_or_for_those_that_are():
    toml = f'[router]\nthreshold = -1.0\nclassifier = "heuristic"\n{TIERS}'
    with open_stand_in() as stand_in, from_config(toml) as saving:
        router = saving.wrap(_model(stand_in[0].openai_url, "gpt-4o"))
        assert isinstance(router, RoutingLLM)
        assert [llm.model for llm in router.models.values()] == [CHEAP, DEAR]
        router.chat([ChatMessage("Why?")])
        assert stand_in[0].requests[-1].model == DEAR
        models = {"weak": _model("http://localhost", "a"), "strong": _model("http://localhost", "b")}
        assert [llm.model for llm in saving.wrap(models).models.values()] == ["a", "b"]
        with pytest.raises(ConfigurationError, match="no model for tier 'strong'"):
            saving.wrap({"weak": models["weak"]})


@pytest.mark.parametrize("llm", ["gpt-4o", None, object()])
def test_what_is_no_model_is_not_wrapped(llm):
    with from_config("") as saving, pytest.raises(ConfigurationError, match="nothing was changed"):
        saving.wrap(llm)
    toml = f'[router]\nclassifier = "heuristic"\n{TIERS}'
    with from_config(toml) as saving, pytest.raises(ConfigurationError, match="by name"):
        saving.wrap(llm)


def _model(url, model=CHEAP):
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(model=model, api_base=url, api_key="unused", is_chat_model=True, max_retries=0)
