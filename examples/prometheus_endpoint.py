"""Spend, savings, cache and budget of a chain as Prometheus metrics, on an endpoint of this process.

python examples/prometheus_endpoint.py
python examples/prometheus_endpoint.py --serve 9464     # goes on until interrupted; scrape 127.0.0.1:9464
"""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, start_http_server

from examples.stand_in import API_KEY, open_provider, parse_arguments
from langchain_tokenomics import BudgetCallbackHandler, SemanticCache, attribution, track_cost
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.observability import Metrics, install_metrics
from tokenomics_core.pricing import PriceBook

HANDBOOK = """Passwords are reset from the sign-in page: choose "Forgot password" and follow the mail.
Refunds take five working days. A seat can be added by an owner under Settings, Members."""

QUESTIONS = [
    ("help", "How do I reset my password?"),
    ("help", "how do i reset my password?"),
    ("billing", "How long do refunds take?"),
]


@contextmanager
def serve_metrics(port: int = 0) -> Iterator[tuple[Metrics, str]]:
    """Measure every call of this process and yield the address to scrape; only this machine can reach it."""
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    try:
        with install_metrics(provider) as metrics:
            yield metrics, f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        provider.shutdown()


def main() -> None:
    arguments = parse_arguments(__doc__, serve=True)
    cache = SemanticCache()
    budgets = Budgets(
        [Limit("all", usd="1.00", window="day"), Limit("feature", usd="0.50", window="day")],
        prices=PriceBook(),
    )
    with open_provider(arguments) as base_url, serve_metrics(arguments.serve or 0) as (metrics, address):
        metrics.watch_cache(cache)
        metrics.watch_budgets(budgets)
        model = ChatOpenAI(
            model=arguments.model,
            base_url=base_url,
            api_key=API_KEY,
            max_tokens=200,
            callbacks=[BudgetCallbackHandler(budgets)],
        )
        prompt = ChatPromptTemplate(
            [("system", "Answer from this handbook.\n\n" + HANDBOOK), ("human", "{question}")]
        )
        chain = prompt | cache.cached(model) | StrOutputParser()
        with track_cost(title="Metered chain") as cost:
            for feature, question in QUESTIONS:
                with attribution(feature=feature):
                    chain.invoke({"question": question})
        print(cost)
        print(f"{address} says:")
        with urllib.request.urlopen(address) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(("tokenomics_cost", "tokenomics_avoided", "tokenomics_budget_left")):
                    print(f"  {line}")
        if arguments.serve:
            threading.Event().wait()
    cache.close()


if __name__ == "__main__":
    main()
