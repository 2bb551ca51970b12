"""Crashes, forks, full disks, threads and other processes: nothing recorded is lost, or an error says so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.core.ledger.programs import python
from tests.core.ledger.samples import by_user, call
from tokenomics_core import StoreError
from tokenomics_core.ledger import SQLiteLedger

has_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
is_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and limits of POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@is_posix
@pytest.mark.parametrize("n_seen", [1, 7, 40, 200])
def test_kill_9_loses_at_most_the_records_in_flight(path, n_seen):
    writer = python(
        "ledger = SQLiteLedger(sys.argv[1])\n"
        "def work():\n"
        "    while True:\n"
        "        record = call('0.5')\n"
        "        ledger.record(record)\n"
        "        os.write(1, (record.id + '\\n').encode())\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "work()\n",
        path,
    )
    with writer:
        seen = [writer.stdout.readline().strip() for _ in range(n_seen)]
        os.kill(writer.pid, signal.SIGKILL)
        seen += [line.strip() for line in writer.stdout if line.endswith("\n")]
    with SQLiteLedger(path) as ledger:
        kept = {record.id for record in ledger.records()}
        assert set(seen) <= kept
        assert len(kept) <= len(seen) + 4  # four threads had one in flight each
        assert ledger.total() == Decimal("0.5") * len(kept)


def test_a_full_disk_is_a_store_error_and_the_ledger_lives_on(path):
    pytest.importorskip("resource")
    program = python(
        "import json, resource\n"
        "ledger = SQLiteLedger(sys.argv[1])\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))\n"
        "n_kept, message = 0, None\n"
        "try:\n"
        "    for n_kept in range(100_000): ledger.record(call('1'))\n"
        "except StoreError as error:\n"
        "    message = str(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))\n"
        "before = ledger.totals().calls\n"
        "ledger.record(call('1'))\n"
        "print(json.dumps([message, n_kept, before, ledger.totals().calls]))\n",
        path,
    )
    message, n_kept, before, after = json.loads(program.communicate()[0])
    assert message.startswith(f"{path}: failed (")
    assert message.endswith("was not written")
    assert 0 < before == n_kept
    assert after == before + 1


def test_four_processes_that_begin_at_once_lose_no_record(path):
    code = (
        "sys.stdin.readline()\n"
        "ledger = SQLiteLedger(sys.argv[1], busy_timeout_s=60)\n"
        "for _ in range(150): ledger.record(call('0.01', sys.argv[2]))\n"
        "ledger.close()\n"
    )
    writers = [python(code, path, f"p{number}", stdin=subprocess.PIPE) for number in range(4)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    with SQLiteLedger(path) as ledger:
        assert ledger.by("user") == {f"p{number}": Decimal("1.5") for number in range(4)}


def test_a_new_file_opened_by_many_at_once_is_made_once(tmp_path):
    failures = []

    def work(path: Path, start: threading.Barrier) -> None:
        start.wait()
        try:
            with SQLiteLedger(path, busy_timeout_s=60) as ledger:
                ledger.record(call("1"))
        except StoreError as error:
            failures.append(str(error))

    for round_ in range(15):
        path, start = tmp_path / f"{round_}.db", threading.Barrier(6)
        threads = [threading.Thread(target=work, args=(path, start)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with SQLiteLedger(path) as ledger:
            assert ledger.total() == 6


@has_fork
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("flush_every_s", [None, 0.001])
def test_children_forked_amid_writes_record_into_the_same_file(path, flush_every_s):
    ledger = SQLiteLedger(path, busy_timeout_s=60, flush_every_s=flush_every_s)
    stop = threading.Event()
    n_written = 0

    def write() -> None:
        nonlocal n_written
        while not stop.is_set():
            ledger.record(by_user("parent", "1"))
            n_written += 1

    writer = threading.Thread(target=write)
    writer.start()
    children = []
    try:
        for _ in range(6):
            child = os.fork()
            if child == 0:
                exit_code = 1
                try:
                    for _ in range(10):
                        ledger.record(by_user("child", "1"))
                    ledger.close()
                    exit_code = 0
                finally:
                    os._exit(exit_code)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    finally:
        stop.set()
        writer.join()
    assert codes == [0] * 6
    assert ledger.by("user") == {"child": 60, "parent": n_written}
    ledger.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists open files there")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_no_connection_is_carried_over_a_fork(path):
    ledger = SQLiteLedger(path)
    ledger.record(call("1"))
    ledger.total()
    child = os.fork()
    if child == 0:
        inherited = {str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
        os._exit(sum(name.startswith(str(path)) for name in inherited))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ledger.record(call("1"))
    assert ledger.total() == 2
    ledger.close()


@is_posix
@pytest.mark.parametrize(
    "make", ["MemoryLedger()", "SQLiteLedger(sys.argv[1])", "SQLiteLedger(sys.argv[1], flush_every_s=0.001)"]
)
def test_a_call_that_ends_in_the_middle_of_recording_another_is_recorded(path, make):
    # As when the collector closes an abandoned stream: code of one's own runs amid `record`.
    program = python(
        "import signal\n"
        "from tokenomics_core.ledger import MemoryLedger\n"
        f"ledger, n_calls = {make}, 0\n"
        "def interrupt(*_):\n"
        "    global n_calls\n"
        "    n_calls += 1\n"
        "    ledger.record(call('1'))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.0003)\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0003)\n"
        "n_own = 0\n"
        "for _ in range(4000):\n"
        "    ledger.record(call('1'))\n"
        "    n_own += 1\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "print(n_calls + n_own, ledger.totals().calls)\n",
        path,
    )
    with program:
        try:
            output, _ = program.communicate(timeout=60)
        finally:
            program.kill()
    n_calls, n_recorded = map(int, output.split())
    assert n_calls == n_recorded > 4000


async def test_recording_does_not_block_the_loop_while_the_file_is_locked(path):
    ledger = SQLiteLedger(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(ledger.arecord(call("1")))
    for _ in range(1000):  # the loop turns all the while
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("COMMIT")
    await waiting
    assert ledger.total() == 1
    other.close()
    ledger.close()


def test_a_report_is_read_while_another_process_writes(path):
    ledger = SQLiteLedger(path)
    ledger.record(call("1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert ledger.total() == 1
    other.close()
    ledger.close()


def test_a_long_report_of_another_process_holds_up_no_record(path):
    ledger = SQLiteLedger(path, busy_timeout_s=0)
    ledger.record(call("1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM records").fetchone()
    ledger.record(call("1"))
    assert ledger.total() == 2
    other.close()
    ledger.close()


def test_a_file_locked_too_long_is_a_store_error_that_says_what_did_not_happen(path):
    ledger = SQLiteLedger(path, busy_timeout_s=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    record = by_user("ada", "1")
    with pytest.raises(
        StoreError, match=rf"locked .* more than 0\.01 s; record '{record.id}' was not written"
    ):
        ledger.record(record)
    with pytest.raises(StoreError, match="nothing was forgotten"):
        ledger.forget(user="ada")
    with pytest.raises(StoreError, match="nothing was deleted"):
        ledger.prune(timedelta(0))
    other.execute("COMMIT")
    ledger.record(record)
    assert ledger.total() == 1
    other.close()
    ledger.close()
