"""Count how many calls run against a cap, with ours and with every budget package for agents that installs.

Method: a cap of $1.00 and calls that truly cost $0.10 and last 50 ms. Fifty threads start together, with an
exact estimate and with one five times too low; then thirty calls run one after another. Ten calls are
right; with the low estimate ours may pass the cap by what was in flight, and all of it must be booked. Each
package is installed from PyPI at its pinned version into a virtual environment of its own that is thrown
away, and is used through the object that it offers for the decision: ask before the call, record after it.
A package that does not install is skipped. No randomness beyond the order of threads.
Run: python benchmarks/budget_overspend.py  (needs a package index for the peers)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

HARNESS = """
import json, sys, threading, time

def scenario(make, calls, estimate, at_once):
    ask, record, recorded = make()
    gate, lock, ran = threading.Barrier(calls) if at_once else None, threading.Lock(), [0]
    def call():
        if gate:
            gate.wait()
        try:
            token = ask(estimate)
        except Exception:
            return
        with lock:
            ran[0] += 1
        time.sleep(0.05)
        try:
            record(token, 0.10)
        except Exception:
            pass
    if at_once:
        threads = [threading.Thread(target=call) for _ in range(calls)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    else:
        for _ in range(calls):
            call()
    return [ran[0], round(float(recorded()), 6)]

print(json.dumps([
    scenario(make, 50, 0.10, True), scenario(make, 50, 0.02, True), scenario(make, 30, 0.10, False)
]))
"""

OURS = """
from tokenomics_core import Attribution
from tokenomics_core.budgets import Budgets, Limit

def make():
    budgets, ada = Budgets([Limit("user", usd="1.00", window="day")]), Attribution(user="ada")
    def ask(estimate):
        return budgets.reserve(ada, usd=str(estimate), sent=True)
    def record(reservation, cost):
        budgets.settle(reservation, usd=str(cost))
    return ask, record, lambda: budgets.status("user", "ada").spent_usd
"""


@dataclass(frozen=True)
class Peer:
    """One package and how its decision is used.

    Attributes:
        distribution: Name on PyPI.
        version: What is installed.
        code: Defines `make()`, which returns how to ask, how to record and how to read what was recorded.
        dependencies: Whether its dependencies are installed too.
    """

    distribution: str
    version: str
    code: str
    dependencies: bool = True


PEERS = (
    Peer(
        "agentbudget",
        "0.4.0",
        """
from agentbudget import AgentBudget

def make():
    session = AgentBudget(1.00).session().__enter__()
    def ask(estimate):
        if session.would_exceed(estimate):
            raise RuntimeError
    def record(_, cost):
        session.track(None, cost=cost)
    return ask, record, lambda: session.spent
""",
    ),
    Peer(
        "agent-fuse",
        "0.2.1",
        """
import os, tempfile
from agent_fuse.config import configure, reset_settings
from agent_fuse.core.circuit_breaker import CircuitBreaker
from agent_fuse.core.cost_tracker import get_model_pricing
from agent_fuse.core.state_manager import StateManager
from agent_fuse.storage.sqlite import reset_db

per_token = get_model_pricing("gpt-4o").input_cost_per_token

def make():
    reset_settings(); reset_db(); StateManager.reset_instance()
    configure(budget=1.00, db_path=os.path.join(tempfile.mkdtemp(), "fuse.db"))
    breaker = CircuitBreaker(StateManager.get_instance())
    def ask(estimate):
        tokens = round(estimate / per_token)
        breaker.pre_flight("gpt-4o", estimated_input_tokens=tokens, estimated_output_tokens=0)
    def record(_, cost):
        breaker.post_flight("gpt-4o", input_tokens=round(cost / per_token), output_tokens=0)
    return ask, record, breaker.state.get_total_spend
""",
    ),
    Peer(
        "budget-guard-agents",
        "0.2.0",
        """
from budgetguard import BudgetGuard, BudgetPolicy, Pricing
from budgetguard.pricing import ModelPrice

def make():
    guard = BudgetGuard(pricing=Pricing({"m": ModelPrice(1.0, 1.0)}))
    guard.open("task", BudgetPolicy(max_usd=1.00))
    per_token = guard._pricing.cost("m", 1_000_000, 0) / 1_000_000
    def ask(estimate):
        guard.check("task", model="m", est_input_tokens=round(estimate / per_token))
    def record(_, cost):
        guard.record("task", model="m", input_tokens=round(cost / per_token))
    return ask, record, lambda: guard.status("task")["usd"]
""",
    ),
    Peer(
        "agent-budget-guard",
        "0.2.0",
        """
from agent_budget_guard.tracking.tracker import SpendTracker

def make():
    tracker = SpendTracker(1.00)
    return tracker.check_and_reserve, tracker.commit, tracker.get_spent
""",
    ),
    Peer(
        "agentfuse-runtime",
        "0.2.2",
        # Its dependencies take 6 GB, and its engine needs none of them: the module is loaded by itself.
        """
import importlib.util, pathlib, sysconfig
path = pathlib.Path(sysconfig.get_paths()["purelib"], "agentfuse", "core", "budget.py")
spec = importlib.util.spec_from_file_location("budget", path)
budget = importlib.util.module_from_spec(spec)
spec.loader.exec_module(budget)

def make():
    engine = budget.BudgetEngine("run", 1.00, "m")
    def ask(estimate):
        engine.check_and_act(estimate, [])
    def record(_, cost):
        engine.record_cost(cost)
    return ask, record, lambda: engine.spent
""",
        dependencies=False,
    ),
)


def measure(python: str, code: str) -> list[list[float]]:
    done = subprocess.run(
        [python, "-c", code + HARNESS], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def measure_peer(peer: Peer) -> list[list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python")
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += [] if peer.dependencies else ["--no-deps"]
        command += [f"{peer.distribution}=={peer.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("does not install from here")
        environment = os.environ.pop("PYTHONPATH", None)
        try:
            return measure(python, peer.code)
        finally:
            if environment is not None:
                os.environ["PYTHONPATH"] = environment


def line(name: str, results: list[list[float]]) -> str:
    cells = [f"{ran:2.0f} ran, ${ran / 10:.2f} spent, ${recorded:.2f} booked" for ran, recorded in results]
    return f"{name:<27}" + "".join(f"{cell:<38}" for cell in cells)


def main() -> None:
    print("cap $1.00, every call truly costs $0.10 and lasts 50 ms; 10 calls are right\n")
    heads = ["50 at once, estimate exact", "50 at once, estimate 5x too low", "30 one after another"]
    print(f"{'':<27}" + "".join(f"{head:<38}" for head in heads))
    ours = measure(sys.executable, OURS)
    print(line("token-economics", ours))
    for peer in PEERS:
        name = f"{peer.distribution} {peer.version}"
        try:
            print(line(name, measure_peer(peer)), flush=True)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{name:<27}SKIPPED: {error}", flush=True)
    print(
        "\nWith the low estimate a call reserves $0.02, so all fifty fit before the first one settles: no\n"
        "budget can know better. What counts is that all of it is booked and the next call refused;\n"
        "`reserve_call` sets aside a bound that holds."
    )


if __name__ == "__main__":
    main()
