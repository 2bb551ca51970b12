"""The command trains, measures and calibrates from files, and says no with the right code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tokenomics_core.cli import main
from tokenomics_core.routing import DifficultyClassifier


@pytest.fixture
def run(capsys):
    def run_main(*argv):
        try:
            code = main(["router", *(str(argument) for argument in argv)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run_main


@pytest.fixture
def path(tmp_path):
    """Questions whose words tell how hard they are."""
    rng = np.random.default_rng(1)
    target = tmp_path / "outcomes.jsonl"
    with target.open("w", encoding="utf-8") as out:
        for number in range(220):
            hard = bool(rng.random() < 0.5)
            row = {
                "text": f"{'prove' if hard else 'name'} number {number}",
                "outcomes": {
                    "cheap": int(rng.random() > (0.8 if hard else 0.1)),
                    "dear": int(rng.random() > 0.1),
                },
                "costs_usd": {"cheap": 0.001, "dear": 0.02},
                "id": 7,
            }
            out.write(json.dumps(row) + "\n")
    return target


def test_training_writes_weights_and_says_what_they_are_worth(run, path, tmp_path):
    weights = tmp_path / "weights.npz"
    code, out, err = run("train", path, "--out", weights)
    assert (code, err) == (0, "")
    assert "APGR held out" in out
    assert "fields that were not read: id (100%)" in out
    assert DifficultyClassifier.load(weights).tiers_ == ("cheap", "dear")


def test_training_that_shows_nothing_better_than_chance_is_a_no(run, tmp_path):
    target = tmp_path / "noise.jsonl"
    rows = [{"text": "the same words", "outcomes": {"a": at % 2, "b": at % 3 > 0}} for at in range(40)]
    target.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    code, out, _ = run("train", target, "--out", tmp_path / "w.npz")
    assert code == 1
    assert "not shown to be better than chance" in out


def test_an_evaluation_stands_beside_the_shipped_weights_and_draws_itself(run, path, tmp_path):
    pytest.importorskip("matplotlib")
    drawn = tmp_path / "curve.png"
    code, out, err = run("evaluate", path, "--resamples", 20, "--plot", drawn)
    assert (code, err) == (0, "")
    for words in ("fitted, out of fold", "shipped weights", "prompt length", "best single"):
        assert words in out, words
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_an_evaluation_in_json_has_every_number(run, path, tmp_path):
    weights = tmp_path / "weights.npz"
    run("train", path, "--out", weights)
    code, out, _ = run("evaluate", path, "--weights", weights, "--resamples", 20, "--format", "json")
    found = json.loads(out)
    assert code == 0
    assert found["router"]["name"] == "weights.npz"
    assert found["router"]["apgr"]["low"] <= found["router"]["apgr"]["value"]
    assert found["questions"] == 220
    assert any("have not learned from" in notice for notice in found["notices"])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (("--share", "30%"), "30.0% of questions to dear"),
        (("--target-quality", "0.9"), "90.0% of the best single tier's quality"),
        (("--target-cost-usd", "8"), "$8 for 1,000 questions"),
    ],
)
def test_a_target_is_solved(run, path, target, words):
    code, out, err = run("calibrate", path, *target, "--resamples", 20)
    assert (code, err) == (0, "")
    assert words in out
    assert "share of dear" in out


def test_calibrating_can_write_the_weights_that_go_with_the_setting(run, path, tmp_path):
    weights = tmp_path / "weights.npz"
    code, out, _ = run(
        "calibrate", path, "--share", 0.3, "--resamples", 5, "--out", weights, "--format", "json"
    )
    assert code == 0
    assert json.loads(out)["policy"] == "target_share"
    assert DifficultyClassifier.load(weights).tiers_ == ("cheap", "dear")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", "line 1 is no object with a text"),
        ("{}", "line 1 is no object with a text"),
        ("", "there is no record in"),
        ('{"text": "a", "outcomes": {"x": 3}}', "record 1 cannot be read"),
    ],
)
def test_files_that_are_no_records_are_refused_with_their_line(run, tmp_path, text, message):
    target = tmp_path / "bad.jsonl"
    target.write_text(text, encoding="utf-8")
    code, out, err = run("evaluate", target)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    "argv",
    [
        ("calibrate", "{path}"),
        ("calibrate", "{path}", "--share", "1.5"),
        ("calibrate", "{path}", "--share", "0.1", "--target-quality", "0.9"),
        ("evaluate", "{path}", "--resamples", "1"),
        ("evaluate", "{path}", "--weights", "{path}", "--pretrained"),
        ("evaluate", "gone.jsonl"),
        ("train", "{path}"),
    ],
)
def test_wrong_arguments_are_refused(run, path, argv):
    code, out, err = run(*(argument.format(path=path) for argument in argv))
    assert (code, out) == (2, "")
    assert "error:" in err
