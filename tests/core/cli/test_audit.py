"""`tokenomics audit` shows what a log cost and wasted: as tables, a page or data, with the right code."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal

import pytest

from tokenomics_core.cli import main
from tokenomics_core.cli._progress import Progress
from tokenomics_core.traffic import Audit, WastePlan, generate_traffic, write_traffic

SECRET = "TOKENOMICS_HASH_SECRET"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A log and the truth about it."""
    path = tmp_path_factory.mktemp("logs") / "traffic.jsonl"
    generator = generate_traffic(900, seed=11)
    write_traffic(generator, path)
    return path, generator.truth


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.delenv(SECRET, raising=False)

    def run_main(*argv):
        try:
            code = main([str(argument) for argument in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run_main


def test_tables_rank_the_wastes_and_say_where_the_money_goes(run, logged):
    path, _ = logged
    code, out, err = run("audit", path)
    assert (code, err) == (0, "")
    assert "What was wasted" in out
    assert "Where the money goes" in out
    assert "claude-sonnet-4-5" in out
    months = [
        Decimal(row.split("$")[2].split()[0]) for row in out.split("────\n")[1].split("\n\n")[0].splitlines()
    ]
    assert len(months) >= 8
    assert months == sorted(months, reverse=True)


def test_json_says_what_was_planted(run, logged):
    path, truth = logged
    code, out, _ = run("audit", path, "--json", "-")
    assert code == 0
    found = Audit.from_dict(json.loads(out))
    assert found.rows == 900
    assert found.total_usd == truth.total_usd
    for kind in ("exact_repeats", "retries", "dear_model", "runaway_runs", "batchable"):
        assert found.waste(kind).usd == truth.wastes[kind].usd, kind
        assert found.waste(kind).calls == truth.wastes[kind].calls, kind


def test_page_and_data_are_written_beside_the_tables(run, logged, tmp_path):
    path, _ = logged
    page, data = tmp_path / "audit.html", tmp_path / "audit.json"
    code, out, _ = run("audit", path, "--html", page, "--json", data, "--top", 3)
    assert code == 0
    assert "What was wasted" in out
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert Audit.from_dict(json.loads(data.read_text(encoding="utf-8"))).rows == 900


def test_quiet_writes_only_files(run, logged, tmp_path):
    assert run("audit", logged[0], "--quiet", "--html", tmp_path / "audit.html")[:2] == (0, "")
    assert (tmp_path / "audit.html").exists()


def test_clean_traffic_is_told_to_be_clean(run, tmp_path):
    write_traffic(generate_traffic(400, seed=1, waste=WastePlan.none()), tmp_path / "clean.jsonl")
    code, out, _ = run("audit", tmp_path / "clean.jsonl")
    assert code == 0
    assert "None of the nine kinds of waste was found." in out


def test_several_files_and_compressed_ones_are_one_log(run, logged, tmp_path):
    lines = logged[0].read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_text("".join(lines[:300]), encoding="utf-8")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("".join(lines[300:]).encode()))
    parts = run("audit", tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", "--json", "-")[1]
    whole = run("audit", logged[0], "--json", "-")[1]
    names = ("rows", "total_usd", "avoidable_usd", "span_days")
    assert [json.loads(parts)[name] for name in names] == [json.loads(whole)[name] for name in names]


def test_users_are_hashed_on_the_way_in(run, logged, tmp_path, monkeypatch):
    path, _ = logged
    assert "user-00000" in run("audit", path)[1]
    monkeypatch.setenv(SECRET, "a secret that nobody knows")
    by_variable = run("audit", path, "--hash-users")[1]
    assert "user-0" not in by_variable
    monkeypatch.delenv(SECRET)
    (tmp_path / "secret").write_text("a secret that nobody knows\n")
    assert run("audit", path, "--hash-users", "--hash-secret-file", tmp_path / "secret")[1] == by_variable


def test_hashing_without_a_secret_is_refused(run, logged):
    code, out, err = run("audit", logged[0], "--hash-users")
    assert (code, out) == (2, "")
    assert f"hashing needs a secret in {SECRET}" in err


def test_bad_lines_are_counted_and_quoted_or_stop_the_reading(run, logged, tmp_path):
    path = tmp_path / "damaged.jsonl"
    lines = logged[0].read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:50], '{"at": broken', *lines[50:100]]), encoding="utf-8")
    code, out, _ = run("audit", path)
    assert code == 0
    assert "1 line could not be read" in out
    assert "damaged.jsonl:51" in out
    code, out, err = run("audit", path, "--strict")
    assert (code, out) == (2, "")
    assert "damaged.jsonl:51" in err


def test_own_prices_and_own_months_are_used(run, tmp_path):
    line = {
        "at": "2026-03-02T10:00:00Z",
        "request": {"model": "in-house-7b", "messages": [{"role": "user", "content": "Hello"}]},
        "response": {
            "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
        },
        "usage": {"input_tokens": 1_000_000, "output_tokens": 1_000_000},
    }
    (tmp_path / "log.jsonl").write_text(json.dumps({"tokenomics": 1, **line}) + "\n")
    unpriced = json.loads(run("audit", tmp_path / "log.jsonl", "--json", "-")[1])
    assert (unpriced["unpriced_calls"], Decimal(unpriced["total_usd"])) == (1, 0)
    (tmp_path / "prices.toml").write_text('["in-house-7b"]\ninput = 1\noutput = 2\n')
    priced = json.loads(
        run(
            "audit",
            tmp_path / "log.jsonl",
            *("--json", "-", "--prices", tmp_path / "prices.toml", "--month-days", "10"),
        )[1]
    )
    assert Decimal(priced["total_usd"]) == 3
    assert Decimal(priced["usd_per_month"]) == 30


def test_a_kept_folder_gives_the_same_audit_again(run, logged, tmp_path):
    first = run("audit", logged[0], "--workdir", tmp_path / "work", "--json", "-")[1]
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    assert kept
    assert run("audit", logged[0], "--workdir", tmp_path / "work", "--json", "-")[1] == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == kept


def test_an_empty_log_is_no_error_and_an_unreadable_one_is(run, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    code, out, _ = run("audit", tmp_path / "empty.jsonl")
    assert code == 0
    assert "The log holds no calls." in out
    (tmp_path / "noise.jsonl").write_text("no json\nat all\n")
    code, _, err = run("audit", tmp_path / "noise.jsonl", "--format", "openai")
    assert code == 3, err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("missing.jsonl",), "missing.jsonl"),
        (("--top", "0", "x"), "'0' is no number of 1 or more"),
        (("--format", "poem", "x"), "invalid choice"),
        (("--mapping", "none.toml", "x"), "there is no file 'none.toml'"),
        ((), "required"),
    ],
)
def test_wrong_use_ends_with_code_2_and_words(run, argv, words):
    code, out, err = run("audit", *argv)
    assert (code, out) == (2, "")
    assert words in err


def test_a_page_that_cannot_be_written_ends_with_code_3(run, logged, tmp_path):
    code, out, err = run("audit", logged[0], "--html", tmp_path / "no" / "audit.html")
    assert code == 3
    assert "audit.html: could not be written" in err
    assert "What was wasted" in out


def test_progress_tells_how_much_was_read_and_leaves_no_trace(tmp_path):
    stream = io.StringIO()
    progress = Progress(tmp_path, 3 * 64 * 2**20, stream, every_s=0.001)
    with progress:
        while "read 0 of about 3 parts, 0:00" not in stream.getvalue():
            pass
        (tmp_path / "one.npz").touch()
        while "read 1 of about 3 parts" not in stream.getvalue():
            pass
        for name in ("two", "three"):
            (tmp_path / f"{name}.npz").touch()
        while "adding up" not in stream.getvalue():
            pass
    assert stream.getvalue().endswith("\r\x1b[K")


def test_progress_without_a_terminal_is_silent(tmp_path, capsys):
    with Progress(tmp_path, 1, None):
        pass
    assert capsys.readouterr() == ("", "")
