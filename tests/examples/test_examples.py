"""Every example runs as its first lines say, offline, and prints a bill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    "add_to_a_chain.py": "Handbook",
    "langgraph_state_graph.py": "gpt-4.1-mini",
    "fastapi_service.py": "in 20 calls",
    "plug_into_a_query_engine.py": "gpt-4.1-nano",
    "plan_budgets.py": "30,000",
    "budgeted_agent.py": "Stopped by a budget",
    "cached_chain.py": "3 from cache",
    "cached_query_engine.py": "3 answers dropped",
    "compressed_chain.py": "avoided by compression",
    "compressed_query_engine.py": "avoided by compression",
    "prometheus_endpoint.py": "tokenomics_cost_usd_total",
    "routed_chain.py": "net saving",
    "routed_query_engine.py": "escalated 20%",
}


def run(*command: str) -> str:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environment,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("script", "says"), SCRIPTS.items(), ids=SCRIPTS)
def test_a_script_prints_its_bill(script, says):
    printed = run(f"examples/{script}")
    assert says in printed
    assert "$0" in printed


def test_the_main_job_prints_its_table_and_its_ledger_agrees():
    printed = run("examples/stdlib_rag.py", "--limit", "12")
    assert "gpt-4.1" in printed


def test_no_script_is_forgotten():
    folder = ROOT / "examples"
    helpers = {"__init__.py", "stand_in.py", "judge.py", "stdlib_corpus.py", "stdlib_rag.py"}
    helpers |= {"traffic_applications.py", "traffic_stream.py", "traffic_trial.py"}
    assert {path.name for path in folder.glob("*.py")} - helpers == set(SCRIPTS)


def test_runs_of_the_graph_are_told_apart_by_what_is_printed_of_them():
    shown = re.findall(r"^run (\w{8}): ", run("examples/langgraph_state_graph.py"), re.MULTILINE)
    assert len(set(shown)) == len(shown) == 2
