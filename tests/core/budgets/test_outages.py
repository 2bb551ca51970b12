"""A store that fails is said once, fails as chosen, and is used again when it is back."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from tokenomics_core import Attribution, BudgetExceededError, ConfigurationError, StoreError
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore

ADA = Attribution(user="ada")
LIMITS = [Limit("user", usd="1.00")]


def _logged(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "tokenomics" and "store" in r.getMessage()]


@pytest.fixture
def locked(tmp_path):
    """A file that another connection has locked for writing, and a way to unlock it."""
    path = tmp_path / "budgets.db"
    store = SQLiteBudgetStore(path, busy_timeout_s=0)
    Budgets(LIMITS, store=store).reserve(ADA, usd="0.10", sent=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield store, lambda: other.execute("ROLLBACK")
    other.close()
    store.close()


def test_closed_budgets_refuse_while_the_file_is_locked_and_go_on_afterwards(locked, caplog):
    store, unlock = locked
    budgets = Budgets(LIMITS, store=store)
    for _ in range(3):
        with pytest.raises(StoreError, match="database is locked; the step was not taken"):
            budgets.reserve(ADA, usd="0.10")
    unlock()
    budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    assert budgets.status("user", "ada").spent_usd == Decimal("0.10")
    assert (budgets.counters.store_failures, budgets.counters.outages) == (3, 1)
    lost, back = _logged(caplog)
    assert "budget store lost, calls are refused" in lost
    assert "budget store is back after 3 failed steps" in back


def test_open_budgets_let_calls_pass_and_book_them_afterwards(locked, caplog):
    store, unlock = locked
    budgets = Budgets(LIMITS, store=store, on_store_failure="open")
    for _ in range(20):
        reservation = budgets.reserve(ADA, usd="0.10")
        assert not reservation.guarded
        assert not budgets.settle(reservation, usd="0.10").recorded
    assert (budgets.counters.unguarded_calls, budgets.counters.outages, budgets.pending) == (20, 1, 20)
    unlock()
    with pytest.raises(BudgetExceededError) as refused:
        budgets.reserve(ADA, usd="0.10")
    assert refused.value.committed == Decimal("2.10")
    assert budgets.pending == 0
    assert len(_logged(caplog)) == 2


def test_a_second_outage_is_said_again(locked, caplog, tmp_path):
    store, unlock = locked
    budgets = Budgets(LIMITS, store=store)
    with pytest.raises(StoreError):
        budgets.reserve(ADA, usd="0.10")
    unlock()
    budgets.reserve(ADA, usd="0.10")
    other = sqlite3.connect(tmp_path / "budgets.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        budgets.reserve(ADA, usd="0.10")
    other.close()
    assert budgets.counters.outages == 2
    assert len(_logged(caplog)) == 3


def test_what_could_not_be_settled_is_kept_and_written_first(locked):
    store, unlock = locked
    unlock()
    budgets = Budgets(LIMITS, store=store)
    reservation = budgets.reserve(ADA, usd="0.10", sent=True)
    freed = budgets.reserve(ADA, usd="0.20", sent=True)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not budgets.settle(reservation, usd="0.30").recorded
    budgets.release(freed)
    assert not budgets.renew(reservation)
    assert budgets.pending == 2
    with pytest.raises(StoreError):
        budgets.flush()
    assert budgets.pending == 2
    other.close()
    budgets.flush()
    assert budgets.pending == 0
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd) == (Decimal("0.30"), Decimal("0.10"))


def test_a_damaged_file_is_a_store_error_and_a_sound_one_in_its_place_is_used(tmp_path):
    path = tmp_path / "budgets.db"
    path.write_bytes(b"this is no database, however long one looks at it" * 100)
    budgets = Budgets(LIMITS, store=SQLiteBudgetStore(path))
    with pytest.raises(StoreError, match="file is not a database"):
        budgets.reserve(ADA, usd="0.10")
    path.unlink()
    budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    assert budgets.status("user", "ada").spent_usd == Decimal("0.10")
    budgets.store.close()


def test_a_file_in_a_folder_that_is_not_there_is_a_store_error(tmp_path):
    budgets = Budgets(LIMITS, store=SQLiteBudgetStore(tmp_path / "missing" / "budgets.db"))
    with pytest.raises(StoreError, match="unable to open database file"):
        budgets.reserve(ADA, usd="0.10")


def test_a_file_of_a_later_version_is_not_opened(tmp_path):
    path = tmp_path / "budgets.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="schema version 99"):
        Budgets(LIMITS, store=SQLiteBudgetStore(path)).reserve(ADA, usd="0.10")


def test_on_a_full_disk_calls_are_refused_and_nothing_is_lost(tmp_path):
    """A limit on the size of files stands for the end of the disk; it holds for one process of its own."""
    path = tmp_path / "budgets.db"
    code = f"""
import resource, signal
from tokenomics_core import Attribution, StoreError
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
budgets = Budgets([Limit("user", usd=1000)], store=SQLiteBudgetStore({str(path)!r}))
def call(usd="0.01"):
    budgets.settle(budgets.reserve(Attribution(user="ada"), usd=usd), usd=usd)
call()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
ran, settled_later = 1, 0
try:
    for _ in range(10_000):
        reservation = budgets.reserve(Attribution(user="ada"), usd="0.01", sent=True)
        ran += 1
        settled_later += not budgets.settle(reservation, usd="0.01").recorded
except StoreError as error:
    print("refused:", error.problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
call(); ran += 1
status = budgets.status("user", "ada")
print(ran, status.spent_usd * 100, status.held_usd, status.unconfirmed_usd, budgets.pending)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    refused, counts = done.stdout.splitlines()
    assert "the step was not taken" in refused
    ran, spent_cents, held, unconfirmed, pending = map(Decimal, counts.split())
    assert ran > 2
    assert (spent_cents, unconfirmed, pending) == (ran, 0, 0)
    # A reservation whose commit failed stands nowhere.
    assert held == 0


def test_a_redis_server_that_is_killed_and_restarted_loses_nothing(durable_redis, caplog):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(durable_redis.url, timeout_s=2)
    budgets = Budgets(LIMITS, store=store)
    budgets.settle(budgets.reserve(ADA, usd="0.10", sent=True), usd="0.10")
    in_flight = budgets.reserve(ADA, usd="0.20", sent=True)
    durable_redis.kill()
    with pytest.raises(StoreError):
        budgets.reserve(ADA, usd="0.10")
    assert not budgets.settle(in_flight, usd="0.15").recorded
    durable_redis.start()
    last = budgets.reserve(ADA, usd="0.75", sent=True)
    with pytest.raises(BudgetExceededError):
        budgets.reserve(ADA, usd="0.01")
    budgets.settle(last, usd="0.75")
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.unconfirmed_usd) == (1, 0, 0)
    assert len(_logged(caplog)) == 2
    store.close()


@pytest.mark.parametrize("on_store_failure", ["closed", "open"])
def test_a_server_killed_while_threads_spend_loses_no_cent_and_leaves_no_hold(
    durable_redis, on_store_failure
):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(durable_redis.url, timeout_s=5)
    budgets = Budgets([Limit("user", usd=1000)], store=store, on_store_failure=on_store_failure)
    ran, lock, first_calls, is_back = 0, threading.Lock(), threading.Semaphore(0), threading.Event()

    def spend() -> None:
        nonlocal ran
        done_since = 0
        while done_since < 20:
            done_since += is_back.is_set()
            try:
                reservation = budgets.reserve(ADA, usd="0.02", sent=True)
            except StoreError:
                continue
            with lock:
                ran += 1
            budgets.settle(reservation, usd="0.01")
            first_calls.release()

    with ThreadPoolExecutor(8) as pool:
        spending = [pool.submit(spend) for _ in range(8)]
        for _ in range(100):
            assert first_calls.acquire(timeout=30)
        durable_redis.kill()
        durable_redis.start()
        is_back.set()
        for future in spending:
            future.result(timeout=60)
    budgets.flush()
    status = budgets.status("user", "ada")
    assert status.spent_usd == ran * Decimal("0.01")
    assert (status.held_usd, status.unconfirmed_usd, budgets.pending) == (0, 0, 0)
    store.close()


class Deaf:
    """Stands between a client and a server; while it is deaf, answers get lost on the way back.

    Answers to scripts wait until they may pass.
    """

    def __init__(self, target: str, folder) -> None:
        self.is_deaf = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._target = target.removeprefix("unix://")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / "deaf.sock"))
        self._listening.listen()
        self.url = f"unix://{folder / 'deaf.sock'}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near) -> None:
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(self._target)
            while question := near.recv(1 << 16):
                far.sendall(question)
                answer = far.recv(1 << 16)
                if b"EVAL" in question:
                    self.may_answer.wait()
                    if self.is_deaf:
                        return
                with contextlib.suppress(BrokenPipeError):
                    near.sendall(answer)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def deaf(redis_server):
    with tempfile.TemporaryDirectory() as folder:
        made = Deaf(redis_server.url, Path(folder))
        yield made
        made.close()


async def test_a_reservation_whose_answer_was_lost_is_freed_as_soon_as_the_server_is_heard(deaf):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(deaf.url, namespace="deaf", timeout_s=2)
    budgets = Budgets(LIMITS, store=store)
    budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    await budgets.asettle(await budgets.areserve(ADA, usd="0.10"), usd="0.10")
    deaf.is_deaf = True
    with pytest.raises(StoreError, match="whether the step was taken is unknown"):
        budgets.reserve(ADA, usd="0.30", sent=True)
    with pytest.raises(StoreError, match="whether the step was taken is unknown"):
        await budgets.areserve(ADA, usd="0.30", sent=True)
    deaf.is_deaf = False
    full = budgets.reserve(ADA, usd="0.80", sent=True)
    budgets.release(full)
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.unconfirmed_usd) == (Decimal("0.20"), 0, 0)
    await store.aclose()
    store.close()


def test_an_open_budget_books_the_call_whose_reservation_got_no_answer(deaf):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(deaf.url, namespace="deaf and open", timeout_s=2)
    budgets = Budgets(LIMITS, store=store, on_store_failure="open")
    deaf.is_deaf = True
    unguarded = budgets.reserve(ADA, usd="0.30", sent=True)
    deaf.is_deaf = False
    assert not unguarded.guarded
    budgets.settle(unguarded, usd="0.25")
    status = budgets.status("user", "ada")
    assert (status.spent_usd, status.held_usd, status.unconfirmed_usd) == (Decimal("0.25"), 0, 0)
    store.close()


def test_a_server_that_cannot_be_connected_to_leaves_nothing_to_free(tmp_path):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(f"unix://{tmp_path}/nobody.sock")
    budgets = Budgets(LIMITS, store=store)
    for _ in range(3):
        with pytest.raises(StoreError, match="the step was not taken"):
            budgets.reserve(ADA, usd="0.10", sent=True)
    assert budgets.pending == 0


def test_an_answer_that_nobody_waited_for_is_not_taken_for_that_of_the_next_step(deaf):
    from tokenomics_core.budgets import RedisBudgetStore

    class Stopped(BaseException):
        pass

    def stop(*_):
        raise Stopped

    store = RedisBudgetStore(deaf.url, namespace="stopped", timeout_s=30)
    budgets = Budgets(LIMITS, store=store)
    reservation = budgets.reserve(ADA, usd="0.10", sent=True)
    deaf.may_answer.clear()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Stopped):
            budgets.settle(reservation, usd="0.10")
    finally:
        signal.signal(signal.SIGALRM, before)
        deaf.may_answer.set()
    assert budgets.share_used(ADA) == 0.1  # held or spent, as far as the server got
    budgets.settle(reservation, usd="0.10")
    assert budgets.status("user", "ada").spent_usd == Decimal("0.10")
    store.close()


def test_connections_that_a_restart_broke_are_not_an_outage(durable_redis):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(durable_redis.url, timeout_s=2)
    budgets = Budgets(LIMITS, store=store)
    budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    durable_redis.kill()
    durable_redis.start()
    budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    assert budgets.status("user", "ada").spent_usd == Decimal("0.20")
    assert budgets.counters.store_failures == 0
    store.close()


async def test_async_calls_survive_a_restart_too(durable_redis):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(durable_redis.url, timeout_s=2)
    budgets = Budgets(LIMITS, store=store, on_store_failure="open")
    await budgets.asettle(await budgets.areserve(ADA, usd="0.10"), usd="0.10")
    durable_redis.kill()
    unguarded = await budgets.areserve(ADA, usd="0.10")
    assert not unguarded.guarded
    assert not (await budgets.asettle(unguarded, usd="0.10")).recorded
    durable_redis.start()
    await budgets.aflush()
    assert (await budgets.astatus("user", "ada")).spent_usd == Decimal("0.20")
    await store.aclose()


def test_scripts_that_the_server_forgot_are_sent_again(redis_server):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(redis_server.url, namespace="forgetful")
    budgets = Budgets(LIMITS, store=store)
    for _ in range(2):
        store._link.client.script_flush()
        budgets.settle(budgets.reserve(ADA, usd="0.10"), usd="0.10")
    assert budgets.status("user", "ada").spent_usd == Decimal("0.20")
    assert budgets.counters.store_failures == 0
    store.close()


def test_every_redis_key_ends_some_day_and_lies_in_one_slot(redis_server):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(redis_server.url, namespace="tidy")
    limits = [
        Limit("user", usd=1, window="day"),
        Limit("user", usd=1, window="rolling 1h"),
        Limit("run", calls=5),
    ]
    budgets = Budgets(limits, store=store, on_alert=lambda alert: None)
    who = Attribution(user="ada", run="r1")
    budgets.settle(budgets.reserve(who, usd="0.9"), usd="0.9")
    budgets.release(budgets.reserve(who, usd="0.1"))
    budgets.grant("run", "r1", calls=1)
    keys = list(store._link.client.scan_iter("*{tidy}*"))
    assert len(keys) == 5
    day_ms = 86_400_000
    for key in keys:
        assert key.startswith(b"{tidy}:budgets:")
        assert 0 < store._link.client.pttl(key) <= 401 * day_ms
    store.close()


def test_the_redis_store_goes_by_the_servers_clock(redis_server):
    from tokenomics_core.budgets import RedisBudgetStore

    store = RedisBudgetStore(redis_server.url, namespace="clocked")
    store._ahead_us = 400 * 86_400 * 1_000_000  # as if this machine's clock were a year ahead
    budgets = Budgets([Limit("user", usd=1, window="day")], store=store)
    reservation = budgets.reserve(ADA, usd="0.10")
    seconds, _ = store._link.client.time()
    assert abs(reservation.reserved_at.timestamp() - seconds) < 60
    assert budgets.status("user", "ada").held_usd == Decimal("0.10")
    store.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Budgets([], on_store_failure="maybe"),
            "on_store_failure must be 'closed' or 'open', not 'maybe'",
        ),
        (lambda: Budgets([], on_expiry="keep"), "on_expiry must be"),
        (lambda: Budgets([], lease_s=0), "lease_s must be above 0"),
        (lambda: SQLiteBudgetStore(":memory:"), "path must be a file, not ':memory:'"),
        (lambda: SQLiteBudgetStore("x.db", busy_timeout_s=-1), "busy_timeout_s must be from 0"),
    ],
)
def test_wrong_settings_are_refused(make, says):
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_wrong_redis_settings_are_refused(redis_server):
    from tokenomics_core.budgets import RedisBudgetStore

    with pytest.raises(ConfigurationError, match="url must be redis://"):
        RedisBudgetStore("http://localhost")
    with pytest.raises(ConfigurationError, match="namespace must be a name without braces"):
        RedisBudgetStore("redis://localhost", namespace="{a}")
    assert "secret" not in repr(RedisBudgetStore("redis://:secret@localhost:1/0"))
