"""The main job: answer questions about the standard library with RAG, and show what that costs.

python examples/stdlib_rag.py
python examples/stdlib_rag.py --base-url https://api.openai.com/v1 --model gpt-4.1-nano

A LangChain chain and a LlamaIndex engine answer a stream of questions over a corpus built from the docstrings
of the running Python. Both are tracked and attributed by user, feature and conversation, and one table
says what the stream cost. A second pass answers from a response cache what was asked before, in the same
words or in others, and says what that saved and which answers it changed. A third sends a part of what
was retrieved. A fourth asks the weak model first and the strong one where the answer will not do, beside each
model alone. The last pass has a budget: one more user asks as often as all others together, is stopped at the
limit, and the others go on.

Without --base-url the provider is a stand-in on loopback that needs no network and no key; with it, any
provider that speaks the OpenAI protocol, its key taken from OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from uuid import uuid4

from examples.main_job.arms import Arm, ArmResult, run_arm
from examples.main_job.budget import add_runaway, limit_for
from examples.main_job.budget_table import agrees, build_budget_table, build_user_lines
from examples.main_job.cache_table import build_cache_table, build_kind_lines
from examples.main_job.compression_table import build_compression_lines, build_compression_table
from examples.main_job.langchain_app import LangChainApp
from examples.main_job.llama_index_app import LlamaIndexApp
from examples.main_job.questions import DEFAULT_PATH, Question, ask_again, load_questions
from examples.main_job.retriever import BM25Index
from examples.main_job.routing import HalvesAcceptor, Recorder
from examples.main_job.routing_table import build_routing_table
from examples.main_job.table import build_table
from examples.provider import STRONG_READER, WEAK_READER, LoopbackProvider, ReadingEngine
from examples.stdlib_corpus import build_corpus, describe_modules
from langchain_tokenomics import BudgetCallbackHandler
from llama_index_tokenomics import BudgetGuard
from tokenomics_core.budgets import Budgets, Limit
from tokenomics_core.cache import ResponseCache
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.ledger import Ledger, MemoryLedger, SQLiteLedger
from tokenomics_core.observability import CostReport
from tokenomics_core.pricing import default_price_book
from tokenomics_core.rendering import Table, format_usd, to_text
from tokenomics_core.routing import Cascade, Router, Threshold, Tier

WEAK_MODEL, STRONG_MODEL = "gpt-4.1-nano", "gpt-4.1-mini"
"""What the stand-in serves under borrowed names, so that there are prices to reckon with."""

MAX_OUTPUT_TOKENS = 600
"""The longest answer in the pass with a budget: it is held per call, and is several times what any needs."""

COMPRESS_TO = 0.6
"""The share of the retrieved tokens that one pass sends: the least that lost no answer on balance here."""

NANO_DOLLAR = Decimal("1e-9")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and print its table; 1 if the ledger and the report do not agree to the nano-dollar."""
    settings = parse_arguments(arguments)
    questions = ask_again(load_questions(settings.questions))[: settings.limit]
    run = uuid4().hex
    with open_ledger(settings.ledger) as ledger:
        plain = run_plain(settings, questions, ledger, run)
        fine = [
            show_plain(settings, *plain),
            show_cache(settings, questions, ledger, run, plain[0]),
            show_compression(settings, questions, ledger, run, plain[0]),
        ]
        if settings.model != settings.strong_model:
            fine.append(show_routing(settings, questions, ledger, run, plain[0]))
        if settings.runaway != 0:
            fine.append(show_budget(settings, questions, ledger, run, plain[0]))
    return 0 if all(fine) else 1


def run_plain(
    settings: argparse.Namespace, questions: Sequence[Question], ledger: Ledger, run: str
) -> tuple[ArmResult, Decimal, float]:
    """Run the frameworks as they come; return what came out, what the ledger has of it, and the seconds."""
    started = time.perf_counter()
    with open_provider(settings) as base_url:
        arm = plain_arm(settings, base_url)
        result = run_arm(arm, questions, ledger=ledger, run=run, on_progress=Progress(len(questions)))
    return result, ledger.total(run=run, arm=arm.name), time.perf_counter() - started


def show_plain(settings: argparse.Namespace, result: ArmResult, ledger_usd: Decimal, seconds: float) -> bool:
    """Print what the stream cost; tell whether the ledger agrees."""
    show(build_table(result, stand_in=not settings.base_url, ledger_usd=ledger_usd, seconds=seconds))
    return adds_up(result, ledger_usd)


def show_cache(
    settings: argparse.Namespace,
    questions: Sequence[Question],
    ledger: Ledger,
    run: str,
    plain: ArmResult,
) -> bool:
    """Run the stream with a response cache and print what it served; tell if all agrees."""
    started = time.perf_counter()
    with open_provider(settings) as base_url, ResponseCache() as cache:
        arm = cache_arm(settings, base_url, cache)
        result = run_arm(arm, questions, ledger=ledger, run=run, on_progress=Progress(len(questions)))
    lines = build_kind_lines(plain, result)
    ledger_usd = ledger.total(run=run, arm=arm.name)
    print()
    show(build_cache_table(lines, seconds=time.perf_counter() - started, ledger_usd=ledger_usd))
    return adds_up(result, ledger_usd)


def show_compression(
    settings: argparse.Namespace,
    questions: Sequence[Question],
    ledger: Ledger,
    run: str,
    plain: ArmResult,
) -> bool:
    """Run the stream with compressed context and print what that saved; tell if all agrees."""
    started = time.perf_counter()
    with open_provider(settings) as base_url:
        arm = compression_arm(settings, base_url)
        result = run_arm(arm, questions, ledger=ledger, run=run, on_progress=Progress(len(questions)))
    lines = build_compression_lines(plain, result)
    totals = ledger.totals(run=run, arm=arm.name)
    print()
    seconds = time.perf_counter() - started
    show(build_compression_table(lines, seconds=seconds, share=COMPRESS_TO, ledger=totals))
    credited = lines[-1].credited or Decimal(0)
    return adds_up(result, totals.cost_usd) and abs(totals.avoided_usd - credited) < NANO_DOLLAR


def show_routing(
    settings: argparse.Namespace,
    questions: Sequence[Question],
    ledger: Ledger,
    run: str,
    plain: ArmResult,
) -> bool:
    """Run each model alone, learn from what they answered, run a cascade and print it; tell if all agrees."""
    started = time.perf_counter()
    tiers = (
        Tier(name="weak", model=settings.model),
        Tier(name="strong", model=settings.strong_model),
    )
    recorder = Recorder()

    def passed(name: str, cascade: Cascade) -> ArmResult:
        with open_provider(settings) as base_url:
            arm = cascade_arm(settings, base_url, cascade, name)
            return run_arm(arm, questions, ledger=ledger, run=run, on_progress=Progress(len(questions)))

    weak = passed("weak", Cascade(Router(tiers, policy=Threshold(1.0)), recorder, threshold=0.0))
    strong = passed("strong", Cascade(tiers[1:], recorder, threshold=0.0))
    try:
        acceptor = HalvesAcceptor(questions, recorder.answers, weak.outcomes, strong.outcomes)
    except ConfigurationError as error:
        print(f"\nToo few questions to learn from, so nothing was routed: {error}")
        return True
    cascade = Cascade(Router(tiers, policy=Threshold(1.0)), acceptor, threshold=0.5)
    routed = passed("route", cascade)
    ledger_usd = ledger.total(run=run, arm="route")
    passes = [
        (f"{settings.strong_model} for all", strong),
        (f"{settings.model} for all", weak),
        ("a model per feature, by hand", plain),
        ("routed", routed),
    ]
    print()
    seconds = time.perf_counter() - started
    show(build_routing_table(passes, cascade.stats(), seconds=seconds, ledger_usd=ledger_usd))
    return adds_up(routed, ledger_usd)


def show_budget(
    settings: argparse.Namespace,
    questions: Sequence[Question],
    ledger: Ledger,
    run: str,
    plain: ArmResult,
) -> bool:
    """Run the stream with a runaway user under a limit and print who was stopped; tell if all agrees."""
    limit_usd = settings.user_limit or limit_for(plain)
    count = len(questions) if settings.runaway is None else settings.runaway
    asked = add_runaway(questions, count)
    started = time.perf_counter()
    # A provider of its own: a prompt cache that the plain pass has filled would flatter this one.
    with open_provider(settings) as base_url:
        budgets = Budgets([Limit("user", usd=limit_usd)], prices=default_price_book())
        # LangChain logs whatever a handler raises; the table tells of refusals.
        logging.getLogger("langchain_core.callbacks.manager").setLevel(logging.CRITICAL)
        arm = budget_arm(settings, base_url, budgets)
        result = run_arm(arm, asked, ledger=ledger, run=run, on_progress=Progress(len(asked)))
    lines = build_user_lines(result, budgets, limit_usd)
    print()
    show(build_budget_table(lines, seconds=time.perf_counter() - started))
    return adds_up(result, ledger.total(run=run, arm=arm.name)) and all(map(agrees, lines))


def show(table: Table) -> None:
    """Print a table, as wide as the terminal."""
    print(to_text(table, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; without a strong model one model does everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base-url", help="a provider that speaks the OpenAI protocol")
    parser.add_argument("--model", help="the model of the feature `search`")
    parser.add_argument("--strong-model", help="the model of the features `tutor` and `review`")
    parser.add_argument("--limit", type=at_least(1), help="ask only so many questions")
    parser.add_argument("--questions", type=Path, default=DEFAULT_PATH, help="a file like questions.jsonl")
    parser.add_argument("--ledger", type=Path, help="keep every call in this SQLite file")
    parser.add_argument("--user-limit", type=usd, help="USD per user in the pass with a budget")
    parser.add_argument(
        "--runaway",
        type=at_least(0),
        help="questions of the runaway user; 0 leaves out the pass with a budget, as with --base-url",
    )
    settings = parser.parse_args(arguments)
    if settings.base_url and not settings.model:
        parser.error("--base-url needs --model; nothing was asked")
    if settings.base_url and settings.runaway is None:
        settings.runaway = 0
    if not settings.base_url:
        settings.model = settings.model or WEAK_MODEL
        settings.strong_model = settings.strong_model or STRONG_MODEL
    settings.strong_model = settings.strong_model or settings.model
    return settings


def at_least(least: int) -> Callable[[str], int]:
    """Read a whole number that is not below a bound."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of {least} or more, not {text!r}")
        return int(text)

    return read


def usd(text: str) -> Decimal:
    """Read an amount above 0."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"must be an amount of USD above 0, not {text!r}")
    return amount


@contextmanager
def open_provider(settings: argparse.Namespace) -> Iterator[str]:
    """Yield the address to ask: the one given, or that of a stand-in for both models."""
    if settings.base_url:
        yield settings.base_url
        return
    readers = {settings.model: WEAK_READER, settings.strong_model: STRONG_READER}
    with LoopbackProvider(ReadingEngine(readers)) as provider:
        yield provider.openai_url


@contextmanager
def open_ledger(path: Path | None) -> Iterator[MemoryLedger | SQLiteLedger]:
    """Yield a ledger in memory, or in a file that outlives the run."""
    with MemoryLedger() if path is None else SQLiteLedger(path) as ledger:
        yield ledger


def plain_arm(settings: argparse.Namespace, base_url: str) -> Arm:
    """Build both applications as they come, with a model per feature chosen once by hand."""
    models, key, index = parts(settings)
    apps = (
        LangChainApp(index, describe_modules(), models, base_url, key),
        LlamaIndexApp(index, models, base_url, key),
    )
    return Arm(name="plain", apps=apps, models=models)


def cache_arm(settings: argparse.Namespace, base_url: str, cache: ResponseCache) -> Arm:
    """Build the applications in front of one cache; each model's answers are kept apart."""
    models, key, index = parts(settings)
    return Arm(
        name="cache",
        apps=(
            LangChainApp(index, describe_modules(), models, base_url, key, cache=cache),
            LlamaIndexApp(index, models, base_url, key, cache),
        ),
        models=models,
    )


def compression_arm(settings: argparse.Namespace, base_url: str) -> Arm:
    """Build the applications with a compressor between retriever and prompt."""
    models, key, index = parts(settings)
    return Arm(
        name="compressed",
        apps=(
            LangChainApp(index, describe_modules(), models, base_url, key, compress_to=COMPRESS_TO),
            LlamaIndexApp(index, models, base_url, key, compress_to=COMPRESS_TO),
        ),
        models=models,
    )


def cascade_arm(settings: argparse.Namespace, base_url: str, cascade: Cascade, name: str) -> Arm:
    """Build the applications over the tiers of a cascade, whatever the feature."""
    models, key, index = parts(settings)
    return Arm(
        name=name,
        apps=(
            LangChainApp(index, describe_modules(), models, base_url, key, cascade=cascade),
            LlamaIndexApp(index, models, base_url, key, cascade=cascade),
        ),
        models=models,
    )


def budget_arm(settings: argparse.Namespace, base_url: str, budgets: Budgets) -> Arm:
    """Build the applications under limits; a LangChain model states the bound that the other one is told."""
    models, key, index = parts(settings)
    handlers = [BudgetCallbackHandler(budgets)]
    return Arm(
        name="budget",
        apps=(
            LangChainApp(index, describe_modules(), models, base_url, key, handlers, MAX_OUTPUT_TOKENS),
            LlamaIndexApp(index, models, base_url, key),
        ),
        models=models,
        guard=lambda: BudgetGuard(budgets, max_output_tokens=MAX_OUTPUT_TOKENS),
    )


def parts(settings: argparse.Namespace) -> tuple[dict[str, str], str, BM25Index]:
    """Return the model of each feature, the key, and an index of the corpus."""
    models = {
        "search": settings.model,
        "tutor": settings.strong_model,
        "review": settings.strong_model,
    }
    key = os.environ.get("OPENAI_API_KEY", "unused") if settings.base_url else "unused"
    return models, key, BM25Index(build_corpus())


class Progress:
    """Says on stderr how far the stream is and what it has cost so far."""

    def __init__(self, questions: int) -> None:
        self._questions = questions
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, done: int, report: CostReport) -> None:
        is_last = done == self._questions
        if not is_last and done % (10 if self._is_terminal else 100):
            return
        end = "\r" if self._is_terminal and not is_last else "\n"
        text = f"{done:,} of {self._questions:,} questions, {format_usd(report.total_usd)} "
        print(text, end=end, file=sys.stderr, flush=True)


def adds_up(result: ArmResult, ledger_usd: Decimal) -> bool:
    """Tell whether the ledger, the report and its sums by user agree to the nano-dollar."""
    report = result.report
    by_user = sum(report.by("user").values(), Decimal(0))
    return all(abs(report.total_usd - other) < NANO_DOLLAR for other in (ledger_usd, by_user))


if __name__ == "__main__":
    sys.exit(main())
