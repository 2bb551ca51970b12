"""`tokenomics simulate` replays logs of any tool and writes the settings that a sweep chose."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tokenomics_core.cli import main
from tokenomics_core.cli._simulate import _teller
from tokenomics_core.config import Settings
from tokenomics_core.traffic import TrafficRecord, write_traffic
from tokenomics_core.types import Attribution, Usage

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def record(hour, **rest):
    told = {
        "at": START + timedelta(hours=hour),
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": f"What is number {hour % 2}?"}],
        "answer": f"It is number {hour % 2}, and nothing else.",
        "usage": Usage(input_tokens=1000, output_tokens=100),
        "attribution": Attribution(user="ada"),
    }
    return TrafficRecord(**{**told, **rest})


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    write_traffic([record(hour) for hour in range(10)], path)
    return str(path)


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_log_is_replayed_with_what_the_arguments_turn_on(capsys, log):
    code, out, _ = run(capsys, "simulate", log, "--cache", "policy=exact", "--json", "-")
    figures = json.loads(out)
    assert code == 0
    assert figures["served"]["exact"] == 8
    assert Decimal(figures["log_usd"]) == 10 * Decimal("0.0028")
    assert Decimal(figures["usd"]) == 2 * Decimal("0.0028")


def test_without_arguments_it_costs_what_it_cost(capsys, log):
    code, out, _ = run(capsys, "simulate", log)
    assert code == 0
    assert "saved $0" in out


def test_limits_are_written_as_scope_amount_and_window(capsys, log, tmp_path):
    saved = tmp_path / "settings.toml"
    code, out, _ = run(
        capsys,
        *("simulate", log, "--budget", "user=5.5/day", "--budget", "user+feature=3calls", "--json", "-"),
        *("--budget", "all=9000tokens/rolling 24h", "--save", saved),
    )
    assert code == 0
    assert json.loads(out)["served"]["refused"] > 0
    limits = Settings.load(saved).budgets.limits
    assert [(one.scope, one.usd, one.calls, one.tokens, one.window) for one in limits] == [
        ("user", Decimal("5.5"), None, None, "day"),
        (("user", "feature"), None, 3, None, None),
        ("all", None, None, 9000, "rolling 24h"),
    ]


def test_a_router_is_written_as_models_and_its_target(capsys, log, tmp_path):
    saved = tmp_path / "settings.toml"
    told = "gpt-4.1-nano,gpt-4.1,threshold=1.0,classifier=heuristic"
    code, out, _ = run(capsys, "simulate", log, "--router", told, "--save", saved, "--json", "-")
    assert code == 0
    assert json.loads(out)["routed"] == {"gpt-4.1-nano": 10}
    assert Settings.load(saved).router.threshold == 1.0


def test_answers_of_another_log_make_a_route_known(capsys, log, tmp_path):
    other = tmp_path / "other.jsonl"
    cheap = Usage(input_tokens=900, output_tokens=10)
    write_traffic([record(hour, model="gpt-4.1-nano", usage=cheap) for hour in range(2)], other)
    told = "gpt-4.1-nano,gpt-4.1,threshold=1.0,classifier=heuristic"
    _, out, _ = run(capsys, "simulate", log, "--router", told, "--answers", other, "--json", "-")
    figures = json.loads(out)
    assert figures["estimated_calls"] == 0
    assert Decimal(figures["usd"]) == 10 * Decimal("0.000094")


def test_a_sweep_writes_the_cheapest_value_within_the_risk(capsys, log, tmp_path):
    saved, page = tmp_path / "settings.toml", tmp_path / "page.html"
    arguments = ["simulate", log, "--budget", "user=9calls", "--sweep", "budgets.limits.0.calls=2,8,20"]
    code, out, _ = run(capsys, *arguments, "--max-worse", "0.3", "--save", saved, "--html", page)
    assert code == 0
    assert "budgets.limits.0.calls = 8 is the cheapest" in out
    assert Settings.load(saved).budgets.limits[0].calls == 8
    assert page.read_text(encoding="utf-8").count("<svg") == 1


def test_a_sweep_without_a_value_within_the_risk_saves_nothing_and_says_no(capsys, log, tmp_path):
    saved = tmp_path / "settings.toml"
    arguments = ["simulate", log, "--budget", "user=9calls", "--sweep", "budgets.limits.0.calls=2,3"]
    code, out, _ = run(capsys, *arguments, "--max-worse", "0", "--save", saved)
    assert code == 1
    assert "none is chosen" in out
    assert not saved.exists()


def test_settings_begin_with_a_file_and_are_changed_by_arguments(capsys, log, tmp_path):
    begun, saved = tmp_path / "begun.toml", tmp_path / "saved.toml"
    Settings.load(
        '[cache]\nmax_error = 0.2\nttl_s = 60\n[[budgets.limits]]\nscope = "user"\ncalls = 5\n'
    ).dump(begun)
    code, _, _ = run(
        capsys,
        *("simulate", log, "--config", begun, "--cache", "ttl_s=7200", "--set", "compress.ratio=0.5"),
        *("--budget", "all=1", "--save", saved),
    )
    assert code == 0
    settings = Settings.load(saved)
    assert (settings.cache.max_error, settings.cache.ttl_s, settings.compress.ratio) == (0.2, 7200.0, 0.5)
    assert len(settings.budgets.limits) == 2


def test_a_page_needs_nothing_else(capsys, log, tmp_path):
    page = tmp_path / "page.html"
    run(capsys, "simulate", log, "--cache", "--html", page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "src=" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cache", "max_eror=1"], "did you mean 'max_error'"),
        (["--cache", "log.jsonl"], "--cache takes settings such as max_error=0.01, not 'log.jsonl'"),
        (["--budget", "user"], "--budget takes a limit such as user=5.00/day, not 'user'"),
        (["--budget", "user=5/fortnight"], "fortnight"),
        (["--router", "quality=0.9"], "--router takes models"),
        (["--sweep", "cache.ttl_s"], "--sweep takes a setting and values"),
        (["--sweep", "cache.tl=1,2"], "did you mean"),
        (["--set", "cache.ttl_s"], "--set takes a setting and its value"),
    ],
)
def test_what_cannot_be_meant_is_told(capsys, log, arguments, said):
    code, _, error = run(capsys, "simulate", log, *arguments)
    assert code == 2
    assert said in error


def test_a_log_without_a_call_is_told(capsys, tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text('{"nothing": "here"}\n', encoding="utf-8")
    code, _, error = run(capsys, "simulate", path, "--format", "openai")
    assert code == 2
    assert "there is no call in the log" in error


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_somebody_who_waits_at_a_terminal_is_told_how_far_it_is():
    terminal = Terminal()
    tell = _teller(terminal)
    for _ in range(1_001):
        tell(None)
    assert terminal.getvalue().count("replayed") == 2
    assert "1,000 calls" in terminal.getvalue()
    assert _teller(io.StringIO()) is None
