"""A live report keeps up, holds back, ends complete, and never hurts the call."""

from __future__ import annotations

import io
import logging
import sys
import threading
from decimal import Decimal

import nbformat
import pytest
from nbclient import NotebookClient

from tests.core.observability.records import spend
from tokenomics_core.observability import CostReport
from tokenomics_core.observability._live import LiveDisplay, find_screen


class Screen:
    """Note what is shown, and how much a drawing takes."""

    def __init__(self, clock=None, drawing_s=0.0):
        self.shown: list[tuple[str, Decimal]] = []
        self.clock, self.drawing_s = clock, drawing_s

    def show(self, report):
        self._note("show", report)

    def update(self, report):
        self._note("update", report)

    def close(self):
        self.shown.append(("close", Decimal(-1)))

    def _note(self, what, report):
        if self.clock is not None:
            self.clock.now_s += self.drawing_s
        self.shown.append((what, report.total_usd))


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def test_the_report_is_shown_at_once_and_after_each_interval_and_at_the_end():
    clock, report = Clock(), CostReport()
    screen = Screen()
    live = LiveDisplay(report, clock=clock, interval_s=0.2, screen=screen)
    live.start()
    for step_s in (0.25, 0.1, 0.05, 0.1, 0.01):
        clock.now_s += step_s
        report.add(spend(cost="1"))
    live.close()
    assert screen.shown == [("show", 0), ("update", 1), ("update", 4), ("update", 5), ("close", -1)]


def test_after_the_end_nothing_is_drawn_any_more():
    report, screen = CostReport(), Screen()
    with LiveDisplay(report, interval_s=0.0, screen=screen) as live:
        report.add(spend())
    live.close()
    drawn = list(screen.shown)
    report.add(spend())
    assert screen.shown == drawn
    assert drawn[-1][0] == "close"


def test_drawing_takes_at_most_a_twentieth_of_the_time():
    clock, report = Clock(), CostReport()
    screen = Screen(clock, drawing_s=1.0)
    with LiveDisplay(report, clock=clock, interval_s=0.2, screen=screen):
        for _ in range(100):
            clock.now_s += 1.0
            report.add(spend())
        assert 4 <= len(screen.shown) <= 6


def test_threads_that_record_at_once_leave_a_complete_report():
    report, screen = CostReport(), Screen()

    def work():
        for _ in range(50):
            report.add(spend(cost="1"))

    with LiveDisplay(report, interval_s=0.0, screen=screen):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    amounts = [amount for what, amount in screen.shown if what != "close"]
    assert amounts == sorted(amounts)
    assert amounts[-1] == 400
    assert report.failed_callbacks == 0


@pytest.mark.parametrize("method", ["show", "update", "close"])
def test_a_screen_that_fails_ends_the_display_and_not_the_call(method, caplog):
    report, screen = CostReport(), Screen()

    def fail(*_):
        raise OSError("no screen")

    setattr(screen, method, fail)
    with (
        caplog.at_level(logging.ERROR, logger="tokenomics"),
        LiveDisplay(report, interval_s=0.0, screen=screen),
    ):
        assert report.add(spend())
        assert report.add(spend())
    assert len(caplog.records) == 1
    assert report.failed_callbacks == 0


def test_without_a_notebook_or_a_terminal_nothing_is_shown(capsys):
    report = CostReport()
    with LiveDisplay(report):
        report.add(spend())
    assert find_screen() is None
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_final_report(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    report = CostReport(title="Night run")
    with LiveDisplay(report, clock=Clock(), interval_s=0.0):
        report.add(spend(cost="0.25"))
        report.add(spend(cost="0.5"))
    drawn = terminal.getvalue()
    assert drawn.index("No calls recorded yet") < drawn.index("$0.25") < drawn.index("$0.75")


def test_a_terminal_without_rich_shows_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with LiveDisplay(CostReport()) as live:
        assert live is not None
    assert terminal.getvalue() == ""


CELL = """
import threading
from tests.core.observability.records import spend
from tokenomics_core.observability import CostReport
from tokenomics_core.observability._live import LiveDisplay

report = CostReport(title="Live")
with LiveDisplay(report, interval_s=0.0):
    for cost in ("0.25", "0.5"):
        thread = threading.Thread(target=report.add, args=(spend(cost=cost),))
        thread.start()
        thread.join()
"""


def test_a_notebook_shows_one_report_that_ends_complete(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert "$0.75" in output.data["text/html"]
    assert "No calls recorded" not in output.data["text/html"]
    assert "$0.75" in output.data["text/plain"]
