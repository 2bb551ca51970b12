"""One settings file sets both frameworks up alike: the same words, decisions, ledger and cache."""

from __future__ import annotations

import inspect
from decimal import Decimal

import pytest

import langchain_tokenomics
import llama_index_tokenomics
from examples.traffic_applications import LangChainApplication, LlamaIndexApplication
from examples.traffic_stream import CHEAP, StreamClock, open_stand_in, run_stream, stream
from tokenomics_core.ledger import SQLiteLedger
from tokenomics_core.types import SpendRecord

APPLICATIONS = {langchain_tokenomics: LangChainApplication, llama_index_tokenomics: LlamaIndexApplication}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tokenomics.toml"
    path.write_text(
        f"""
[ledger]
path = "{tmp_path / "spend.db"}"

[budgets]
path = "{tmp_path / "budgets.db"}"
max_output_tokens = 400

[[budgets.limits]]
scope = "all"
usd = "0.005"
window = "month"

[cache]
path = "{tmp_path / "cache.db"}"
max_error = 0.3

[compress]
ratio = 0.5
""",
        encoding="utf-8",
    )
    return path


def really(package, path, requests):
    clock = StreamClock()
    with open_stand_in() as stand_in, package.from_config(path, clock=clock) as saving:
        application = APPLICATIONS[package](stand_in[0].openai_url, saving.wrap)
        outcomes = run_stream(requests, application, stand_in, clock)
    return ["refused" if one.answer is None else "sent" if one.sent else "cache" for one in outcomes]


def test_both_decide_the_same_from_one_file(path, tmp_path):
    requests = [request for request in stream(60, seed=9) if not request.tools]
    decided = {}
    for package in APPLICATIONS:
        decided[package] = really(package, path, requests)
        with SQLiteLedger(tmp_path / "spend.db") as ledger:
            total = ledger.total()
        for name in ("spend", "budgets", "cache"):
            for file in tmp_path.glob(f"{name}.db*"):
                file.unlink()
        decided[package].append(total)
    one, other = decided.values()
    assert one == other
    assert {"refused", "sent", "cache"} <= set(one)
    assert isinstance(one[-1], Decimal)
    assert one[-1] > 0


def test_budgets_and_bill_are_shared_where_both_run_from_one_file(path, tmp_path):
    requests = [request for request in stream(60, seed=9) if not request.tools]
    first = really(langchain_tokenomics, path, requests)
    second = really(llama_index_tokenomics, path, requests)
    assert second.count("sent") < first.count("sent")
    with SQLiteLedger(tmp_path / "spend.db") as ledger:
        assert ledger.total() <= Decimal("0.005")
        assert ledger.totals(source="model").calls == first.count("sent") + second.count("sent")
        assert {record.model for record in ledger.records() if isinstance(record, SpendRecord)} > {CHEAP}


def test_the_words_are_the_same_in_both():
    one, other = (inspect.signature(package.from_config) for package in APPLICATIONS)
    assert list(one.parameters) == list(other.parameters)
    made = [vars(package.from_config("")) for package in APPLICATIONS]
    shared = {"settings", "prices", "ledger", "budgets", "router", "cache", "compressor"}
    for attributes in made:
        assert shared <= set(attributes)
