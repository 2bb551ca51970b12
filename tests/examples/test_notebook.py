"""The notebook runs from its first cell to its last, offline, and shows a bill that adds up."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def cells():
    notebook = nbformat.read(EXAMPLES / "track_in_a_notebook.ipynb", as_version=4)
    folder = {"metadata": {"path": str(EXAMPLES)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=folder).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell, kind: str) -> list[str]:
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def test_it_is_stored_without_outputs():
    stored = nbformat.read(EXAMPLES / "track_in_a_notebook.ipynb", as_version=4)
    assert [cell for cell in stored.cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_nothing_goes_wrong(cells):
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_the_live_report_ends_complete(cells):
    (page,) = _shown(cells[3], "text/html")
    assert "Handbook assistant" in page
    assert ">15</" in page
    assert "3 calls without a price are not in the cost: acme-tuned (3)." in page
    assert "1 from cache" in page
    assert "Prices: genai-prices" in page


def test_amounts_by_user_add_up_to_the_total(cells):
    (printed,) = [output.text for output in cells[4].outputs if output.get("name") == "stdout"]
    (by_user,) = _shown(cells[4], "text/plain")
    total = re.search(r"total +(\S+) USD", printed)
    amounts = [Decimal(amount) for amount in re.findall(r"Decimal\('([^']+)'\)", by_user)]
    assert total is not None
    assert len(amounts) == 3
    assert sum(amounts) == Decimal(total[1]) > 0
    assert "unpriced calls: 3" in printed


def test_both_drawings_and_the_estimate_are_shown(cells):
    drawings = [image for cell in cells for image in _shown(cell, "image/png")]
    assert len(drawings) == 2
    assert any("Estimate for gpt-4.1-mini" in page for cell in cells for page in _shown(cell, "text/html"))
