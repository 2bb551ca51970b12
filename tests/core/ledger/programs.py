"""Programs of their own, for tests of what happens between processes."""

from __future__ import annotations

import subprocess
import sys


def python(code: str, *arguments: object, **options) -> subprocess.Popen[str]:
    """Start a Python of its own, with the imports that the scripts below need."""
    head = (
        "import os, sys, threading\n"
        "from datetime import UTC, datetime\n"
        "from decimal import Decimal\n"
        "from tokenomics_core import Attribution, SpendRecord, StoreError, Usage\n"
        "from tokenomics_core.ledger import SQLiteLedger\n"
        "def call(cost_usd, user=None):\n"
        "    return SpendRecord(at=datetime.now(UTC), model='m', usage=Usage(input_tokens=1),\n"
        "        cost_usd=Decimal(cost_usd), price_source='p', attribution=Attribution(user=user))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        **options,
    )
