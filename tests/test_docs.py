"""Every Python block of the guides runs as it is written, in the order of its page, without a network.

A page is one program: what a block defines is there for the next. An HTML comment before a block changes
that: `<!-- not run: reason -->` leaves the block out, and the lines of `<!-- setup ... -->` run in their
place without being shown, such as the model that an application has anyway.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(ROOT.glob("docs/*.md"))
_FENCE = re.compile(r"^```(\w*)\s*$")
_NOT_RUN = re.compile(r"^<!-- not run: (?P<reason>\S.*) -->$")


def program_of(page: str) -> str:
    """Return a page with everything but its code blanked out, so that a line keeps its number."""
    lines: list[str] = []
    inside, is_kept, before = "", False, ""
    for line in page.splitlines():
        fence = _FENCE.match(line)
        if inside == "setup":
            is_end = line.strip() == "-->"
            inside, kept = ("", "") if is_end else (inside, line)
        elif inside:
            is_end = fence is not None and not fence[1]
            inside, kept = ("", "") if is_end else (inside, line if is_kept else "")
        elif line.strip() == "<!-- setup":
            inside, kept = "setup", ""
        elif fence is not None:
            inside, kept = fence[1] or "text", ""
            is_kept = inside == "python" and _NOT_RUN.match(before) is None
        else:
            kept = ""
        before = line.strip() or before
        lines.append(kept)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path):
    program = program_of(page.read_text(encoding="utf-8"))
    if not program.strip():
        pytest.skip("this page shows no code that runs")
    compiled = compile(program, str(page), "exec")
    assert compiled.co_code
    script = tmp_path / f"page_{page.stem}.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"docs/{page.name}: {done.stderr}"


PAGE = """# A page
<!-- setup
x = 1
-->
```python
y = x + 1
```
<!-- not run: it asks a provider -->
```python
y = ask()
```
<!-- not run: -->
```python
z = y
```
```
plain text
```
"""


def test_blocks_are_found_kept_in_their_place_and_left_out_with_a_reason():
    lines = program_of(PAGE).splitlines()
    shown = {number: line for number, line in enumerate(lines, 1) if line}
    assert shown == {3: "x = 1", 6: "y = x + 1", 14: "z = y"}
