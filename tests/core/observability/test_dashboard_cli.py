"""`tokenomics dashboard` serves a ledger until it is interrupted, and refuses what would be unsafe."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from tests.core.observability.records import spend
from tokenomics_core import Attribution
from tokenomics_core.budgets import Budgets, Limit, SQLiteBudgetStore
from tokenomics_core.cli import main
from tokenomics_core.ledger import SQLiteLedger

TOKEN = "correct-horse-battery"
DEADLINE_S = 60


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ledger.db"
    with SQLiteLedger(path) as ledger:
        ledger.record(spend(cost="0.25", at=datetime.now(UTC), feature="chat"))
    return path


@contextmanager
def running(*arguments: object, **environment: str):
    """Run the command and yield the address that it prints; end it and check that it ends well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tokenomics_core.cli", "dashboard", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield found[0]
        process.send_signal(signal.SIGTERM)  # an interrupt is ignored where a shell runs tests behind itself
        out, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, errors) == (0, "")
        assert out.endswith("Ended.\n")
    finally:
        process.kill()
        process.communicate()


def data(address: str, **headers: str):
    """Return what the page shows, once everything is read."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{address}data.json", headers=headers)
            ) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:  # read for the first time
                raise
            continue
        if document["complete"]:
            return document
    raise AssertionError("the ledger is never read")


def test_a_ledger_is_served_until_an_interrupt(path):
    with running("--ledger", path) as address:
        assert address.startswith("http://127.0.0.1:")
        document = data(address)
    assert document["title"] == "ledger.db"
    assert document["figures"][0]["value"] == "$0.25"


def test_what_another_process_records_appears(path):
    with running("--ledger", path) as address:
        assert data(address)["figures"][0]["value"] == "$0.25"
        with SQLiteLedger(path) as ledger:
            ledger.record(spend(cost="0.5", at=datetime.now(UTC)))
        deadline = time.monotonic() + DEADLINE_S
        while data(address)["figures"][0]["value"] != "$0.75":
            assert time.monotonic() < deadline


def test_a_token_may_come_from_the_environment(path):
    with running("--ledger", path, TOKENOMICS_DASHBOARD_TOKEN=TOKEN) as address:
        base, _, token = address.partition("?token=")
        assert token == TOKEN
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(base)
        assert data(base, Authorization=f"Bearer {TOKEN}")["complete"]


def test_budgets_of_a_settings_file_are_shown(path, tmp_path):
    budgets = Budgets([Limit("feature", usd=1)], store=SQLiteBudgetStore(tmp_path / "budgets.db"))
    budgets.record(Attribution(feature="chat"), usd="0.5")
    settings = tmp_path / "tokenomics.toml"
    settings.write_text(
        f"[budgets]\npath = {json.dumps(str(tmp_path / 'budgets.db'))}\n[[budgets.limits]]\n"
        'scope = "feature"\nusd = "1"\n',
        encoding="utf-8",
    )
    with running("--ledger", path, "--settings", settings) as address:
        (line,) = data(address)["budgets"]
    assert (line["name"], line["spent"], line["part"]) == ("chat", "$0.50", "50%")


# Refusals


@pytest.fixture
def run(capsys):
    """Run the command here, where it may only fail."""

    def run_main(*argv: object) -> tuple[int, str]:
        try:
            code = main(["dashboard", *map(str, argv)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, capsys.readouterr().err

    return run_main


def test_a_ledger_that_is_not_there_is_not_made(run, tmp_path):
    code, said = run("--ledger", tmp_path / "none.db")
    assert code == 2
    assert "there is no file" in said
    assert list(tmp_path.iterdir()) == []


def test_others_need_a_token(run, path, monkeypatch):
    monkeypatch.delenv("TOKENOMICS_DASHBOARD_TOKEN", raising=False)
    code, said = run("--ledger", path, "--host", "0.0.0.0")
    assert code == 2
    assert "a token is needed; nothing listens" in said


def test_a_short_token_is_refused(run, path):
    code, said = run("--ledger", path, "--token", "secret")
    assert code == 2
    assert "secret" not in said


def test_a_port_in_use_is_told(run, path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = run("--ledger", path, "--port", taken.getsockname()[1])
    assert code == 3
    assert "cannot be listened at" in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no budgets with limits"),
        ('[budgets]\n[[budgets.limits]]\nscope = "all"\nusd = "1"\n', "kept in the memory"),
    ],
)
def test_settings_that_show_no_budgets_are_refused(run, path, tmp_path, text, says):
    settings = tmp_path / "tokenomics.toml"
    settings.write_text(text, encoding="utf-8")
    code, said = run("--ledger", path, "--settings", settings)
    assert code == 2
    assert says in said
