"""`tokenomics generate` writes a log that reads back as it was made, and the truth about it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tokenomics_core.cli import main
from tokenomics_core.traffic import WastePlan, generate_traffic, read_traffic


@pytest.fixture
def run(capsys):
    def run_main(*argv):
        try:
            code = main([str(argument) for argument in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run_main


def plain(records):
    return [replace(record, where="") for record in records]


def test_what_is_written_reads_back_as_it_was_generated(run, tmp_path):
    path = tmp_path / "traffic.jsonl.gz"
    code, out, err = run("generate", 500, "--seed", 3, "--output", path)
    assert (code, out, err) == (0, "", "")
    reader = read_traffic(path)
    assert plain(reader) == plain(generate_traffic(500, seed=3))
    assert (reader.rows, reader.bad) == (500, 0)


def test_lines_go_to_standard_output_and_the_truth_to_a_file(run, tmp_path):
    truth = tmp_path / "truth.json"
    code, out, _ = run("generate", "1k", "--waste", "retries,dear_model", "--days", 5, "--truth", truth)
    assert code == 0
    assert len(out.splitlines()) == 1000
    told = json.loads(truth.read_text())
    generator = generate_traffic(1000, seed=0, waste=WastePlan.only("retries", "dear_model"), days=5)
    list(generator)
    assert told == generator.truth.to_dict()
    assert {kind for kind, waste in told["wastes"].items() if waste["calls"]} == {"retries", "dear_model"}


def test_a_start_is_a_date_in_a_zone(run):
    start = ("--start", "2026-06-01", "--timezone", "Europe/Lisbon")
    _, out, _ = run("generate", 20, "--waste", "none", *start)
    assert json.loads(out.splitlines()[0])["at"] >= "2026-06-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("5x",), "'5x' is no number of calls"),
        (("10kM",), "is no number of calls"),
        (("500", "--waste", "thrift"), "there is no waste called thrift"),
        (("50",), "nights of 60 calls need 360 calls"),
        (("500", "--days", "0"), "days from 1"),
    ],
)
def test_wrong_arguments_end_with_code_2_and_words(run, argv, words):
    code, out, err = run("generate", *argv)
    assert (code, out) == (2, "")
    assert words in err


def test_a_place_that_cannot_be_written_ends_with_code_3(run, tmp_path):
    code, _, err = run("generate", 20, "--waste", "none", "--output", tmp_path / "no" / "traffic.jsonl")
    assert code == 3
    assert "could not be written" in err
    code, _, err = run("generate", 1, "--waste", "none", "--truth", tmp_path / "no" / "truth.json")
    assert code == 3
    assert "truth.json" in err
