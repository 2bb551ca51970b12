"""The book in a running program: lazy, thread-safe, bounded, and honest about its age."""

from __future__ import annotations

import asyncio
import http.server
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tokenomics_core import StoreError, Usage
from tokenomics_core.pricing import PriceBook

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
USAGE = Usage(input_tokens=1_000_000, output_tokens=0)


def test_importing_the_area_or_making_a_book_loads_no_price_table() -> None:
    program = (
        "import sys; from tokenomics_core.pricing import PriceBook;"
        "book = PriceBook({'m': {'input': 1}}, {'a': 'b'});"
        "loaded = {'genai_prices', 'pydantic', 'httpx2'} & set(sys.modules); assert not loaded, loaded;"
        "book.load(); assert 'genai_prices' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_threads_that_start_together_get_the_same_costs() -> None:
    book = PriceBook()
    names = ["gpt-4o", "claude-sonnet-4-5", "deepseek-v4-pro", "no-such-model", "gemini-2.5-pro"] * 40
    barrier = threading.Barrier(8)

    def price_all() -> list[Decimal | None]:
        barrier.wait()
        return [book.cost(USAGE, name, at=NOON).total_usd for name in names]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: price_all(), range(8)))
    assert all(result == results[0] for result in results)


def test_names_without_end_do_not_fill_the_memory() -> None:
    book = PriceBook()
    for number in range(4500):
        assert book.cost(USAGE, "gpt-4o", f"gateway-{number}", at=NOON).total_usd is None
    book.cost(USAGE, "x" * 100_000, at=NOON)
    assert len(book._schedules) <= 4096
    assert all(len(name) < 1000 for name, _ in book._schedules)
    assert book.cost(USAGE, "gpt-4o", at=NOON).total_usd == Decimal("2.5")


def test_requests_without_end_do_not_fill_the_memory() -> None:
    book = PriceBook()
    plain = book.cost(USAGE, "gpt-5", at=NOON)
    for number in range(600):
        request = Usage(input_tokens=1_000_000, output_tokens=0, context={"request": str(number)})
        assert book.cost(request, "gpt-5", at=NOON).total_usd == plain.total_usd
    assert all(len(schedule._tables) <= 256 for schedule in book._schedules.values())


def test_the_time_of_a_call_is_the_clocks_where_none_is_given() -> None:
    times = [datetime(2026, 11, 20, 2, tzinfo=UTC), datetime(2026, 11, 20, 5, tzinfo=UTC)]
    book = PriceBook(clock=iter([*times, *times]).__next__, max_age_days=None)
    assert [book.cost(USAGE, "deepseek-v4-pro").total_usd for _ in times] == [
        Decimal("1.32"),
        Decimal("0.66"),
    ]


def test_a_price_does_not_outlive_its_day() -> None:
    book, days = (
        PriceBook(),
        [datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)],
    )
    before, after = (book.cost(USAGE, "gemini-4-argon", at=day).total_usd for day in days)
    assert before is not None
    assert after == 2 * before
    assert book.cost(USAGE, "gemini-4-argon", at=days[0]).total_usd == before


def test_the_data_has_a_version_and_a_date() -> None:
    book = PriceBook(clock=lambda: NOON)
    assert book.data_version.startswith("genai-prices 0.2.")
    assert book.data_date is not None
    assert book.data_date >= date(2026, 11, 3)
    assert not book.is_stale


def test_stale_data_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    book = PriceBook(clock=lambda: datetime(2030, 1, 1, tzinfo=UTC), max_age_days=30)
    with caplog.at_level(logging.WARNING, "tokenomics_core.pricing"):
        for model in ("gpt-4o", "gpt-5", "gpt-4o"):
            book.cost(USAGE, model)
        assert book.is_stale
    assert [record.name for record in caplog.records] == ["tokenomics_core.pricing"]
    assert "last checked on 2026-" in caplog.text
    assert not PriceBook(clock=lambda: datetime(2030, 1, 1, tzinfo=UTC), max_age_days=None).is_stale


async def test_loading_and_updating_do_not_block_the_loop() -> None:
    with serving(NEW_PRICES) as url:
        book, ticks = PriceBook(clock=lambda: NOON), 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await book.aload()
        await book.aupdate(url)
        ticking.cancel()
    assert ticks > 1
    assert book.cost(USAGE, "gpt-4o").total_usd == 7


NEW_PRICES = [
    {
        "id": "openai",
        "name": "OpenAI",
        "api_pattern": "https://api",
        "model_match": {"starts_with": "gpt-"},
        "models": [
            {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": 7, "output_mtok": 8}},
            {"id": "gpt-10", "match": {"equals": "gpt-10"}, "prices": {"input_mtok": 1, "output_mtok": 2}},
        ],
    }
]


@contextmanager
def serving(payload: object, status: int = 200) -> Iterator[str]:
    """Answer every request on loopback."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.json"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_update_brings_new_prices_and_says_so_and_other_books_keep_theirs() -> None:
    book, other = PriceBook(clock=lambda: NOON), PriceBook(clock=lambda: NOON)
    assert book.cost(USAGE, "gpt-4o").total_usd == Decimal("2.5")
    with serving(NEW_PRICES) as url:
        book.update(url)
    cost = book.cost(USAGE, "gpt-4o")
    assert cost.total_usd == 7
    assert "with prices fetched on 2026-11-02" in cost.source
    assert book.cost(USAGE, "gpt-10").total_usd == 1
    assert book.data_date == date(2026, 11, 2)
    assert other.cost(USAGE, "gpt-4o").total_usd == Decimal("2.5")
    assert other.cost(USAGE, "gpt-10").total_usd is None


@pytest.mark.parametrize(
    ("payload", "status"),
    [(NEW_PRICES, 500), (b"<html>", 200), ({"not": "a list"}, 200), ([{"id": "x"}], 200), ([], 200)],
)
def test_an_update_that_fails_leaves_the_old_prices(payload: object, status: int) -> None:
    book = PriceBook(clock=lambda: NOON)
    version = book.data_version
    with serving(payload, status) as url, pytest.raises(StoreError, match="the old prices stay in use"):
        book.update(url)
    assert book.data_version == version
    assert book.cost(USAGE, "gpt-4o").total_usd == Decimal("2.5")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/none", "nonsense", "ftp://127.0.0.1/x"])
def test_an_address_that_does_not_answer_is_a_store_error(url: str) -> None:
    with pytest.raises(StoreError, match="no usable prices"):
        PriceBook(clock=lambda: NOON).update(url, timeout_s=2)
