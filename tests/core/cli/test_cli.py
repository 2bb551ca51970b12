"""The command says what the library knows, in tables and in data, and fails with the right code."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.core.ledger.samples import NOON, call
from tokenomics_core import Attribution, Usage, __version__
from tokenomics_core.cli import main
from tokenomics_core.ledger import SQLiteLedger
from tokenomics_core.pricing import PriceBook

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    """A ledger with five calls on two days, one unpriced, one from a cache."""
    path = tmp_path / "ledger.db"
    ada, bob = Attribution(user="ada", tags={"user_tier": "gold"}), Attribution(user="bob")
    with SQLiteLedger(path) as ledger:
        ledger.record(call("0.25", attribution=ada))
        ledger.record(call("0.5", attribution=bob, model="large"))
        ledger.record(call(None, attribution=ada, model="new"))
        ledger.record(call("1", at=NOON + timedelta(days=1), attribution=ada, estimated=True))
        ledger.record(
            call(
                "0",
                at=NOON + timedelta(days=1),
                source="cache",
                avoided_usd=Decimal("0.125"),
                avoided_by="cache",
            )
        )
    return path


@pytest.fixture
def run(capsys):
    """Run the command and return its exit code, output and errors."""

    def run_main(*argv: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in argv], clock=lambda: NOW)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run_main


def row_of(table: str, name: str) -> list[str]:
    return next(line.split() for line in table.splitlines() if line.startswith(name))


# report


def test_a_report_shows_every_model_the_total_and_what_has_no_price(run, path):
    code, out, err = run("report", path)
    assert (code, err) == (0, "")
    assert row_of(out, "small")[-2:] == ["~$1.25", "$0.125"]
    assert row_of(out, "large")[-2:] == ["$0.50", "$0"]
    assert row_of(out, "new")[-2:] == ["unpriced", "$0"]
    assert row_of(out, "Total")[1] == "5"
    assert "~$1.75 +1 unpriced" in out
    assert "calls without a known price, not in the cost: new (1)" in out
    assert "1 of the calls have estimated usage (~)" in out
    assert [line.split()[0] for line in out.splitlines() if line[:5] in {"small", "large", "new  "}] == [
        "small",
        "large",
        "new",
    ]  # the dearest first


def test_a_report_by_several_dimensions_and_days_reads_as_csv(run, path):
    code, out, _ = run("report", path, "--by", "user, user_tier", "--bucket", "day", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [(row["day"], row["user"], row["user_tier"], row["cost_usd"]) for row in rows] == [
        ("2026-11-03", "ada", "gold", "0.25"),
        ("2026-11-03", "bob", "", "0.5"),
        ("2026-11-04", "", "", "0"),
        ("2026-11-04", "ada", "gold", "1"),
    ]
    assert [row["unpriced_calls"] for row in rows] == ["1", "0", "0", "0"]


def test_a_report_in_json_holds_groups_total_and_unpriced_models(run, path):
    code, out, _ = run("report", path, "--by", "user", "--format", "json")
    report = json.loads(out)
    assert code == 0
    costs = {group["user"]: group["cost_usd"] for group in report["groups"]}
    assert costs == {"ada": "1.25", "bob": "0.5", "": "0"}
    assert (report["total"]["cost_usd"], report["total"]["avoided_usd"]) == ("1.75", "0.125")
    assert report["unpriced"] == [{"model": "new", "calls": 1}]


@pytest.mark.parametrize(
    ("arguments", "cost_usd"),
    [
        (["--since", "2026-11-04"], "1"),
        (["--until", "2026-11-04"], "0.75"),
        (["--since", "7d"], "1.75"),
        (["--since", "150h"], "1"),
        (["--since", "2026-11-03T12:00:00Z", "--until", "2026-11-03T12:00:00.000001Z"], "0.75"),
        (["--since", "2026-11-03T13:00", "--timezone", "Europe/Berlin", "--until", "2026-11-04"], "0.75"),
        (["--since", "2026-11-03T13:01", "--timezone", "Europe/Berlin", "--until", "2026-11-04"], "0"),
        (["--where", "user=ada", "--where", "user_tier=gold"], "1.25"),
        (["--where", "user="], "0"),
    ],
)
def test_a_report_covers_the_span_and_the_records_that_were_asked_for(run, path, arguments, cost_usd):
    code, out, _ = run("report", path, "--format", "json", *arguments)
    assert code == 0
    assert json.loads(out)["total"]["cost_usd"] == cost_usd


def test_days_are_those_of_the_zone(run, path):
    _, out, _ = run("report", path, "--bucket", "hour", "--timezone", "Asia/Kolkata", "--format", "csv")
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == [
        "2026-11-03 17:00 +0530",
        "2026-11-04 17:00 +0530",
    ]


def test_an_empty_report_says_so(run, path):
    code, out, _ = run("report", path, "--since", "1h")
    assert code == 0
    assert "no calls are recorded here" in out


# reconcile


def test_a_bill_that_agrees_exits_with_0_and_one_that_differs_with_1(run, path, tmp_path):
    bill = tmp_path / "bill.csv"
    bill.write_text("date,model,cost_usd\n2026-11-04,small,1\n")
    code, out, _ = run("reconcile", path, bill)
    assert code == 0
    assert "Ledger and bill agree" in out
    bill.write_text("Tag;Betrag;Sorte\n2026-11-04;2;small\n2026-11-04;3;other\n")
    columns = "date=Tag,cost_usd=Betrag,model=Sorte"
    code, out, _ = run("reconcile", path, bill, "--columns", columns, "--format", "csv")
    assert code == 1
    assert [row["verdict"] for row in csv.DictReader(io.StringIO(out))] == ["not recorded", "differs"]
    options = ("--columns", columns, "--format", "json", "--tolerance", "5")
    code, out, _ = run("reconcile", path, bill, *options)
    assert code == 0
    assert json.loads(out)["difference_usd"] == "4"


def test_calls_without_a_price_are_shown_beside_the_bill(run, path, tmp_path):
    bill = tmp_path / "bill.json"
    bucket = {
        "start_time": int(NOON.timestamp()),
        "results": [{"amount": {"value": 0.75}}],
    }
    bill.write_text(json.dumps({"data": [bucket]}))
    code, out, _ = run("reconcile", path, bill, "--provider", "openai")
    assert code == 0
    assert "2026-11-03: 1 call of new without a known price, not in the sums" in out


# price


def test_a_price_is_what_the_price_book_says(run):
    usage = Usage(input_tokens=12_000, output_tokens=500, cache_read_tokens=10_000)
    expected = PriceBook().cost(usage, "gpt-4o", at=NOW)
    code, out, _ = run(
        *("price", "openai/gpt-4o", "--input", "12k", "--output", "500", "--cache-read", "10,000"),
        *("--format", "json"),
    )
    assert code == 0
    assert expected.total_usd is not None
    assert Decimal(json.loads(out)["total_usd"]) == expected.total_usd
    code, out, _ = run("price", "gpt-4o", "--input", "12k", "--output", "500", "--cache-read", "10000")
    assert f"Cost ${expected.total_usd.normalize():f}" in out
    assert "genai-prices" in out


def test_without_counts_every_rate_is_shown_with_its_unit(run):
    price = PriceBook().price("gemini-2.5-pro", at=NOW)
    code, out, _ = run("price", "gemini-2.5-pro")
    assert code == 0
    for unit, rate in price.rates.items():
        assert row_of(out, unit.replace("_", " "))[-1].startswith(f"${rate.base.normalize():f}")
    assert "where the input is above" in out
    _, as_json, _ = run("price", "gemini-2.5-pro", "--format", "json")
    rates = json.loads(as_json)["price"]["rates"]
    assert {unit: Decimal(rate["usd"]) for unit, rate in rates.items()} == {
        unit: rate.base for unit, rate in price.rates.items()
    }
    assert rates["input_tokens"]["per"] == "million"


def test_a_price_of_one_s_own_comes_from_a_file(run, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"my-model": {"input": 2, "output": 10}}))
    code, out, _ = run("price", "my-model", "--input", "1M", "--prices", prices, "--format", "json")
    assert code == 0
    assert Decimal(json.loads(out)["total_usd"]) == 2


@pytest.mark.parametrize("counts", [[], ["--input", "5"]])
@pytest.mark.parametrize("format_", ["table", "json"])
def test_an_unknown_price_is_never_zero_and_exits_with_1(run, counts, format_):
    code, out, _ = run("price", "no-such-model-anywhere", *counts, "--format", format_)
    assert code == 1
    assert "$0" not in out
    assert '"0"' not in out


# export, forget, prune


def test_an_export_goes_to_stdout_or_to_a_file(run, path, tmp_path):
    code, out, _ = run("export", path, "--format", "jsonl", "--where", "user=bob")
    assert code == 0
    assert [json.loads(line)["cost_usd"] for line in out.splitlines()] == ["0.5"]
    target = tmp_path / "records.csv"
    assert run("export", path, "--format", "csv", "--output", target, "--since", "2026-11-04")[:2] == (0, "")
    assert len(target.read_text().splitlines()) == 3


def test_forgetting_keeps_the_bill_and_deleting_does_not(run, path):
    assert run("forget", path, "--user", "ada")[:2] == (0, "3 records of user ada made anonymous\n")
    with SQLiteLedger(path) as ledger:
        assert ledger.by("user") == {"": Decimal("1.25"), "bob": Decimal("0.5")}
    assert run("forget", path, "--user", "bob", "--delete")[1] == "1 record of user bob deleted\n"
    with SQLiteLedger(path) as ledger:
        assert ledger.total() == Decimal("1.25")


def test_pruning_counts_back_from_now(run, path):
    assert run("prune", path, "--older-than", "150h")[:2] == (0, "3 records deleted\n")
    with SQLiteLedger(path) as ledger:
        assert ledger.totals().calls == 2


# Wrong use


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: COMMAND"),
        (["report"], "required: LEDGER"),
        (["report", "absent.db"], "there is no file 'absent.db'"),
        (["report", "LEDGER", "--since", "yesterday"], "'yesterday' is no date"),
        (["report", "LEDGER", "--timezone", "Mars"], "not 'Mars'"),
        (["report", "LEDGER", "--by", "model,,user"], "has an empty name in it"),
        (["report", "LEDGER", "--where", "user"], "'user' is no filter such as user=ada"),
        (["report", "LEDGER", "--where", "since=5"], "'since=5' is no filter"),
        (["report", "LEDGER", "--bucket", "fortnight"], "invalid choice: 'fortnight'"),
        (["report", "LEDGER", "--since", "2026-11-05", "--until", "2026-11-04"], "must not be later than"),
        (["prune", "LEDGER", "--older-than", "soon"], "'soon' is no age such as 90d, 12h or 4w"),
        (["prune", "LEDGER"], "required: --older-than"),
        (["forget", "LEDGER"], "required: --user"),
        (["forget", "LEDGER", "--user", ""], "user must be a name, not ''"),
        (["export", "LEDGER"], "required: --format"),
        (["price", "gpt-4o", "--input", "many"], "'many' is no count of tokens"),
        (["price", "gpt-4o", "--input", "1.0001k"], "is no count of tokens"),
        (["reconcile", "LEDGER", "absent.csv"], "there is no file 'absent.csv'"),
    ],
)
def test_wrong_use_is_explained_on_stderr_with_code_2(run, path, monkeypatch, arguments, message):
    monkeypatch.chdir(path.parent)
    before = path.read_bytes()
    code, out, err = run(*(path if argument == "LEDGER" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.db"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("date,cost\n2026-11-03,1\n", ["--tolerance", "much"], "tolerance_usd must be a number, not 'much'"),
        ("date,cost\n2026-11-03,1\n", ["--since", "2026-13-01"], "'2026-13-01' is no date such as"),
        ("date,cost\n2026-11-03,one\n", [], "bill.csv line 2: 'one' is no amount; nothing was compared"),
        ("date,cost\n2026-11-03,1\n", ["--columns", "date"], "'date' is no mapping such as"),
    ],
)
def test_a_bill_that_cannot_be_compared_is_explained_with_code_2(run, path, tmp_path, text, options, message):
    bill = tmp_path / "bill.csv"
    bill.write_text(text)
    code, out, err = run("reconcile", path, bill, *options)
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_that_is_no_ledger_is_code_3(run, tmp_path):
    notes = tmp_path / "notes.db"
    notes.write_text("no database, but long enough to be looked at as one " * 10)
    code, out, err = run("report", notes)
    assert (code, out) == (3, "")
    assert err.startswith(f"tokenomics: error: {notes}: is damaged or no SQLite database")


def test_help_and_version_are_there_for_every_command(run):
    assert run("--version")[:2] == (0, f"tokenomics {__version__}\n")
    code, out, _ = run("--help")
    assert code == 0
    for command in ("report", "reconcile", "price", "export", "forget", "prune"):
        assert command in out
        assert run(command, "--help")[0] == 0


# As a program


def test_it_runs_as_a_module_and_survives_a_reader_that_stops_early(path):
    with SQLiteLedger(path) as ledger:
        for _ in range(3000):
            ledger.record(call("0.01"))
    command = [sys.executable, "-m", "tokenomics_core.cli", "export", str(path), "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert json.loads(program.stdout.readline())["model"] == "small"
        program.stdout.close()
        assert program.stderr.read() == ""
    assert program.returncode == 0


def test_a_terminal_of_few_characters_still_gets_its_table(path):
    command = [sys.executable, "-m", "tokenomics_core.cli", "report", str(path)]
    few = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(command, capture_output=True, env=few, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"unpriced" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "{path}"),
        ("report", "{path}", "--format", "json"),
        ("export", "{path}", "--format", "csv"),
        ("export", "{path}", "--format", "jsonl", "--output", "/dev/full"),
        ("price", "gpt-4o"),
        ("--help",),
        ("--version",),
    ],
)
def test_output_that_cannot_be_written_is_told_in_a_line(path, arguments):
    command = [sys.executable, "-m", "tokenomics_core.cli", *(word.format(path=path) for word in arguments)]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        # Unbuffered, argparse itself would swallow what its own writing raises.
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert done.returncode == 3
    assert done.stderr.startswith("tokenomics: error: ")
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_model_name_without_end_is_an_unknown_model_told_in_short(run):
    code, out, _ = run("price", "a/" * 50_000)
    assert code == 1
    assert "no price is known for" in out
    assert len(out) < 2000
    code, out, _ = run("price", "a/" * 50_000, "--input", "1")
    assert code == 1
    assert "no model has a name of 100,000 characters" in out
    assert len(out) < 2000
