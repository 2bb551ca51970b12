"""Every panel of the shipped dashboard shows data, asked from a real Prometheus that scraped real calls."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from importlib.resources import files

import pytest

from examples.prometheus_endpoint import serve_metrics
from examples.provider import LoopbackProvider, ProviderAnswer, ProviderUsage, ScriptedEngine
from tokenomics_core import attribution
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.errors import BudgetExceededError
from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.pricing import PriceBook

GRAFANA = files("tokenomics_core.observability") / "grafana"
DASHBOARD = json.loads((GRAFANA / "tokenomics.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
DEADLINE_S = 90
_VARIABLES = {"$__rate_interval": "4s", "$__range": "60s", "$model": ".*", "$feature": ".*", "$project": ".*"}


def program(name: str) -> str:
    """Return where a program is; skip where it is missing, and fail under CI=true."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is needed under CI=true (the system's package prometheus)")
    if found is None:
        pytest.skip(f"{name} is not installed (the system's package prometheus)")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """A server of our own on loopback that scrapes one address."""

    def __init__(self, command: str, folder, target: str) -> None:
        config = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
            "scrape_configs": [
                {
                    "job_name": "application",
                    "static_configs": [{"targets": [urllib.parse.urlsplit(target).netloc]}],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        self._log = (folder / "log").open("w+", encoding="utf-8")
        for _ in range(5):
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            self._process = subprocess.Popen(
                [
                    command,
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=self._log,
                stderr=subprocess.STDOUT,
            )
            if self._is_ready():
                return
            self.kill()
        self._log.seek(0)
        raise RuntimeError(f"prometheus does not start: {self._log.read()[-2000:]}")

    def _is_ready(self) -> bool:
        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        return False

    def ask(self, path: str, **query: str) -> object:
        """Ask the HTTP API."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def query(self, expression: str) -> list[dict]:
        """Return the series of an expression that have a number now."""
        found = self.ask("query", query=expression)["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._log.close()


def expression_of(target: dict) -> str:
    """Return a panel's expression as Grafana would send it."""
    expression = target["expr"]
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


USAGE = ProviderUsage(input_tokens=900, output_tokens=200, cache_read_tokens=300, reasoning_tokens=50)


class Application:
    """Calls of both adapters: priced and unpriced, cached, routed, budgeted and refused."""

    def __init__(self, url: str) -> None:
        from langchain_openai import ChatOpenAI
        from llama_index.llms.openai_like import OpenAILike

        from langchain_tokenomics import BudgetCallbackHandler, ModelRouter, SemanticCache
        from llama_index_tokenomics import install_cost_tracking
        from tokenomics_core.routing import Cascade, Tier
        from tokenomics_core.routing.acceptors import FunctionAcceptor

        def chat(name: str, **more: object) -> ChatOpenAI:
            return ChatOpenAI(model=name, base_url=url, api_key="unused", max_tokens=300, **more)

        self.langchain, self.llama_index = MemoryLedger(), MemoryLedger()
        self.budgets = Budgets(
            [
                Limit("all", usd=50, window="day"),
                Limit("feature", usd=20, calls=100_000, tokens=10**9, window="day"),
                Limit("user", tokens=1, window="day"),
            ],
            prices=PriceBook(),
        )
        self.cache = SemanticCache()
        tiers = [Tier(name="cheap", model="gpt-4.1-nano"), Tier(name="dear", model="gpt-4.1")]
        # Every other draft is asked again; both are billed.
        verdicts = iter(index % 2 == 0 for index in range(10**6))
        cascade = Cascade(tiers, FunctionAcceptor(lambda *_: next(verdicts)), threshold=0.5)
        self.router = ModelRouter([(tier, chat(tier.model)) for tier in tiers], cascade=cascade)
        self._budgeted = chat("gpt-4.1-nano", callbacks=[BudgetCallbackHandler(self.budgets)])
        self._cached = self.cache.cached(chat("gpt-4.1-nano"))
        self._unknown = chat("nobodys-model")
        self._index = OpenAILike(model="gpt-4.1-mini", api_base=url, api_key="unused", is_chat_model=True)
        self.tracking = install_cost_tracking(self.llama_index)
        self._round = 0

    def run(self) -> None:
        """Make some calls."""
        from langchain_tokenomics import track_cost

        self._round += 1
        with track_cost(ledger=self.langchain), attribution(project="shop", feature="help"):
            self._cached.invoke("How do I reset my password?")
            self._cached.invoke(f"What became of order {self._round}?")
            self._unknown.invoke("hi")
            self._budgeted.invoke("hi")
            with attribution(feature="search"):
                self.router.invoke("Which one?")
                self.router.invoke("And why?")
            with attribution(user="ada"), pytest.raises(BudgetExceededError):
                self._budgeted.invoke("hi")
        with attribution(project="library", feature="index"):
            self._index.complete("hi")


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    """A Prometheus that scrapes a process whose calls go through both adapters."""
    command = program("prometheus")
    engine = ScriptedEngine(always=ProviderAnswer(text="Yes.", usage=USAGE))
    with LoopbackProvider(engine) as provider, serve_metrics() as (metrics, address):
        application = Application(provider.openai_url)
        metrics.watch_cache(application.cache, name="answers")
        metrics.watch_router(application.router)
        metrics.watch_budgets(application.budgets)
        prometheus = Prometheus(command, tmp_path_factory.mktemp("prometheus"), address)
        try:
            yield prometheus, application
        finally:
            prometheus.close()
            application.tracking.uninstall()
            application.cache.close()
        assert metrics.failures == 0


def until(application: Application, condition) -> None:
    """Make calls until a condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "Prometheus shows no data"
        application.run()


TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize(
    ("title", "target"), TARGETS, ids=[f"{title} {target['refId']}" for title, target in TARGETS]
)
def test_a_panel_shows_data_under_names_that_it_spells_out(fed, title, target):
    prometheus, application = fed
    expression = expression_of(target)
    shown: list = []

    def is_finite() -> bool:
        # A window may begin between two counters of one call; the next one has both.
        shown[:] = prometheus.query(expression)
        return bool(shown) and all(math.isfinite(float(series["value"][1])) for series in shown)

    until(application, is_finite)
    for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
        assert any(series["metric"].get(label) for series in shown), f"{title} names {label}, and has none"


@pytest.mark.parametrize("variable", DASHBOARD["templating"]["list"][1:], ids=lambda item: item["name"])
def test_a_choice_offers_values(fed, variable):
    prometheus, application = fed
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
    until(application, lambda: prometheus.ask(f"label/{label}/values", **{"match[]": metric}))


def test_prometheus_and_the_ledgers_agree(fed):
    prometheus, application = fed
    application.run()
    spent = float(application.langchain.total() + application.llama_index.total())
    avoided = float(application.langchain.totals().avoided_usd)
    assert spent > 0
    found: list[float] = []

    def caught_up() -> bool:
        found[:] = [
            float(series["value"][1])
            for expression in (
                "sum(tokenomics_cost_usd_total)",
                "sum(tokenomics_avoided_usd_total) - sum(tokenomics_added_usd_total)",
            )
            for series in prometheus.query(expression)
        ]
        return found == [pytest.approx(spent), pytest.approx(avoided)]

    deadline = time.monotonic() + DEADLINE_S
    while not caught_up():
        assert time.monotonic() < deadline, f"{found} is not {spent}, {avoided}"


def test_the_dashboard_is_one_that_grafana_can_import():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (column, line)
            for column in range(place["x"], place["x"] + place["w"])
            for line in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


RULE_TESTS = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'tokenomics_budget_limit{DAY}'
        values: '10x60'
      - series: 'tokenomics_budget_spent{DAY}'
        values: '4.9 5 7.9 8 9.9 10 11'
      - series: 'tokenomics_calls_unpriced_total{gen_ai_response_model="mystery"}'
        values: '0 0 1 1 1 1 1'
      - series: 'tokenomics_budget_refusals_total{DAY}'
        values: '0 0 0 0 0 0 3'
    alert_rule_test:
CASES
"""
DAY = 'tokenomics_budget_scope="all",tokenomics_budget_unit="usd",tokenomics_budget_window="day"'
FIRING = {
    "BudgetHalfSpent": (1, 2),
    "BudgetNearlySpent": (3, 4),
    "BudgetSpent": (5, 6),
    "CallsWithoutPrice": (2, 3, 4, 5, 6),
    "CallsRefused": (6,),
}


def test_alerts_fire_at_half_four_fifths_and_all_of_a_budget(tmp_path):
    promtool = program("promtool")
    day = "tokenomics_budget_scope: all, tokenomics_budget_unit: usd, tokenomics_budget_window: day"
    severity = {"BudgetHalfSpent": "info", "BudgetSpent": "critical"}
    words = {
        "BudgetHalfSpent": "all  has spent half of its usd (day)",
        "BudgetNearlySpent": "all  has spent 80% of its usd (day)",
        "BudgetSpent": "all  has spent all of its usd (day)",
        "CallsWithoutPrice": "the price of mystery is not known; its calls are in no sum",
        "CallsRefused": "calls were refused by a limit on all (day, usd)",
    }
    cases = []
    for name, minutes in FIRING.items():
        labels = "gen_ai_response_model: mystery" if name == "CallsWithoutPrice" else day
        alert = (
            f"{{exp_labels: {{severity: {severity.get(name, 'warning')}, {labels}}}, "
            f"exp_annotations: {{summary: '{words[name]}'}}}}"
        )
        cases += [
            f"      - {{eval_time: {minute}m, alertname: {name}, "
            f"exp_alerts: [{alert if minute in minutes else ''}]}}"
            for minute in range(7)
        ]
    rules = tmp_path / "alerts.yml"
    rules.write_text((GRAFANA / "alerts.yml").read_text(encoding="utf-8"), encoding="utf-8")
    tests = tmp_path / "tests.yml"
    text = RULE_TESTS.replace("RULES", "alerts.yml").replace("{DAY}", f"{{{DAY}}}")
    tests.write_text(text.replace("CASES", "\n".join(cases)), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(tests)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
