"""The command `tokenomics`: what calls cost, whether the bill is right, and upkeep of a ledger."""

from tokenomics_core.cli._main import main

__all__ = ["main"]
