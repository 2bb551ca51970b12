"""A ledger in PostgreSQL keeps the contract of all ledgers, over processes, forks and lost connections."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings

from tests.core.ledger.contract import LedgerContract
from tests.core.ledger.samples import NOON, by_user, call
from tokenomics_core import Attribution, ConfigurationError, StoreError
from tokenomics_core.ledger import MemoryLedger, SQLiteLedger, open_ledger
from tokenomics_core.ledger._calendar import Calendar
from tokenomics_core.ledger._query import Query

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def opened(postgres_server):
    """Return a function that opens a ledger in a schema, a new one where none is named."""
    from tokenomics_core.ledger import PostgresLedger

    made = []

    def open_one(schema=None, **options):
        ledger = PostgresLedger(postgres_server.dsn, schema=schema or postgres_server.new_schema(), **options)
        made.append(ledger)
        return ledger

    yield open_one
    for ledger in made:
        ledger.close()


class TestPostgresLedger(LedgerContract):
    several: ClassVar[settings] = settings(
        max_examples=15, deadline=None, suppress_health_check=list(HealthCheck)
    )

    @pytest.fixture(autouse=True)
    def _opened(self, opened):
        self._open = opened

    def make(self, **options):
        return self._open(**options)


def test_buckets_of_every_kind_are_those_of_a_ledger_in_memory(opened):
    """Around changed clocks, before 1970, and with offsets of odd minutes and seconds."""
    odd = [
        datetime(1890, 3, 1, 12, 7, 28, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    changed = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 29), (10, 25), (4, 5), (10, 4))]
    steps = [timedelta(minutes=7 * step, microseconds=step) for step in range(300)]
    instants = odd + [at + step for at in changed for step in steps]
    ledger, known = opened(), MemoryLedger()
    ledger._record_all(call("0.01", at=at) for at in instants)
    known._record_all(call("0.01", at=at) for at in instants)
    for bucket in ("hour", "day", "week", "month"):
        for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Amsterdam"):
            asked = {"bucket": bucket, "timezone": zone}
            assert ledger.totals_by(**asked) == known.totals_by(**asked)


def test_what_is_recorded_while_buckets_are_summed_is_in_none_of_them(opened, postgres_server):
    schema = postgres_server.new_schema()
    ledger, writer = opened(schema), opened(schema)
    ledger.record(call("1", at=NOON))

    class Interrupted(Calendar):
        """Is asked between the two questions; another process records meanwhile."""

        def starts_in(self, first_us, end_us):
            writer.record(call("1", at=NOON + timedelta(days=40)))
            yield from super().starts_in(first_us, end_us)

    groups = ledger._sums(Query(), (), Interrupted("day"))
    assert [totals.calls for totals in groups.values()] == [1]
    assert [totals.calls for totals in ledger.totals_by(bucket="day").values()] == [1, 1]


def _record(dsn, schema, number):
    from tokenomics_core.ledger import PostgresLedger

    with PostgresLedger(dsn, schema=schema) as ledger:
        for _ in range(20):
            ledger.record(by_user(f"u{number}", "0.000000000001"))


def test_processes_that_begin_at_once_make_the_tables_once_and_lose_nothing(opened, postgres_server):
    schema = postgres_server.new_schema()
    workers = [
        spawn.Process(target=_record, args=(postgres_server.dsn, schema, number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    ledger = opened(schema)
    assert ledger.by("user") == {f"u{number}": Decimal("0.00000000002") for number in range(4)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_records_over_a_connection_of_its_own(opened):
    ledger = opened()
    ledger.record(by_user("parent", "1"))
    child = os.fork()
    if child == 0:
        try:
            ledger.record(by_user("child", "2"))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    ledger.record(by_user("parent", "1"))
    assert ledger.by("user") == {"child": Decimal(2), "parent": Decimal(2)}


async def test_recording_does_not_hold_up_the_event_loop(opened, postgres_server):
    ledger = opened("locked_ledger")
    locker = opened("locked_ledger")
    await ledger.arecord(call("1"))
    held, let_go = threading.Event(), threading.Event()

    def hold():
        def work():
            from tokenomics_core.postgres_link import Ask

            yield Ask("LOCK TABLE locked_ledger.records IN EXCLUSIVE MODE", None)
            held.set()
            let_go.wait(10)

        locker._link.run(work, "nothing", atomic=True)

    thread = threading.Thread(target=hold)
    thread.start()
    await asyncio.to_thread(held.wait, 10)
    task = asyncio.create_task(ledger.arecord(call("2")))
    turns, until = 0, time.monotonic() + 0.1
    while time.monotonic() < until:
        await asyncio.sleep(0)
        turns += 1
    assert turns > 20
    assert not task.done()
    let_go.set()
    await task
    await asyncio.to_thread(thread.join)
    assert ledger.total() == 3
    await ledger.aclose()


def test_a_lost_connection_is_told_and_the_next_call_has_a_new_one(opened, postgres_server):
    ledger = opened()
    ledger.record(call("1"))
    postgres_server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    with pytest.raises(StoreError, match=r"PostgresLedger\(.*record .* was not written"):
        ledger.record(call("2"))
    ledger.record(call("3"))
    assert ledger.total() == 4


def test_forgetting_leaves_nothing_of_the_user_in_the_table(opened, postgres_server):
    schema = postgres_server.new_schema()
    ledger = opened(schema, keep_content=True)
    who = Attribution(user="ada-lovelace", conversation="c", run="r", feature="chat", tags={"team": "secret"})
    ledger.record(call("1", attribution=who, content="what ada-lovelace said"))
    ledger.record(by_user("bob", "2"))
    assert ledger.forget(user="ada-lovelace") == 1
    told = postgres_server.psql(f"SELECT * FROM {schema}.records")
    assert "ada-lovelace" not in told
    assert "secret" not in told
    assert "was vacuumed" in postgres_server.psql(
        "SELECT 'was vacuumed' AS it FROM pg_stat_user_tables "
        f"WHERE schemaname = '{schema}' AND relname = 'records' AND last_vacuum IS NOT NULL"
    )
    assert ledger.by("user") == {"bob": Decimal(2), "": Decimal(1)}
    assert ledger.total(feature="chat") == 1


def test_a_schema_of_something_else_is_refused_and_left_as_it_is(opened, postgres_server):
    schema = postgres_server.new_schema()
    postgres_server.psql(f"CREATE SCHEMA {schema} CREATE TABLE orders (id int)")
    with pytest.raises(ConfigurationError, match="holds 'orders' and is no ledger; nothing was changed"):
        opened(schema)
    assert "records" not in postgres_server.psql(
        f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
    )


def test_tables_of_a_newer_release_are_refused(opened, postgres_server):
    schema = postgres_server.new_schema()
    opened(schema).record(call("1"))
    postgres_server.psql(f"UPDATE {schema}.ledger_version SET version = 99")
    with pytest.raises(StoreError, match=r"version 99.*install a newer"):
        opened(schema)


def test_older_tables_are_brought_to_the_present_ones_once(opened, postgres_server):
    from tokenomics_core.ledger._postgres_schema import MIGRATIONS, prepared

    schema = postgres_server.new_schema()
    ledger = opened(schema)
    ledger.record(call("1"))
    later = (*MIGRATIONS, lambda name: f"ALTER TABLE {name}.records ADD COLUMN region text")
    asked = []

    def work():
        steps = prepared(schema, "a ledger", later)
        reply = None
        try:
            while True:
                ask = steps.send(reply)
                asked.append(ask.query)
                reply = yield ask
        except StopIteration:
            pass

    for _ in range(2):
        ledger._link.run(work, "nothing was changed")
    assert sum("ADD COLUMN region" in query for query in asked) == 1
    assert ledger.total() == 1
    with pytest.raises(StoreError, match=r"version 2.*install a newer"):
        opened(schema)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schema": "Robert'; DROP"}, "schema must be lower-case"),
        ({"max_connections": 0}, "max_connections must be 1 or more, not 0"),
        ({"timeout_s": float("nan")}, "timeout_s must be above 0, not nan"),
    ],
)
def test_wrong_arguments_are_refused(opened, options, message):
    with pytest.raises(ConfigurationError, match=message):
        opened(**options)


def test_errors_hold_no_password():
    pytest.importorskip("psycopg")
    from tokenomics_core.ledger import PostgresLedger

    with pytest.raises(StoreError) as error:
        PostgresLedger("postgresql://ada:geheim@127.0.0.1:1/bills", timeout_s=2)
    assert "geheim" not in str(error.value)
    assert "127.0.0.1/bills" in str(error.value)


def test_a_closed_ledger_says_so(opened):
    ledger = opened()
    ledger.close()
    with pytest.raises(StoreError, match=r"is closed; record .* was not written"):
        ledger.record(call("1"))


def test_a_word_names_a_ledger_in_a_database_or_a_file(postgres_server, tmp_path):
    with open_ledger(postgres_server.dsn) as ledger:
        assert type(ledger).__name__ == "PostgresLedger"
    with open_ledger(str(tmp_path / "calls.db")) as ledger:
        assert isinstance(ledger, SQLiteLedger)


def test_the_command_line_takes_an_address_for_a_file(opened, postgres_server, capsys):
    from tokenomics_core.cli import main

    with open_ledger(postgres_server.dsn) as ledger:
        ledger.record(by_user("grace", "1.5"))
    assert main(["report", postgres_server.dsn, "--by", "user"]) == 0
    assert "grace" in capsys.readouterr().out
    assert main(["forget", postgres_server.dsn, "--user", "grace", "--delete"]) == 0
    with open_ledger(postgres_server.dsn) as ledger:
        assert ledger.total(user="grace") == 0
    assert main(["report", "postgresql://nobody@127.0.0.1:1/nothing"]) == 3
    assert "127.0.0.1/nothing" in capsys.readouterr().err
