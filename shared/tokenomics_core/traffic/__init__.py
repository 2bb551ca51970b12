"""Traffic logs: read what other tools wrote, audit what was wasted, simulate what would have been saved."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenomics_core.traffic._audit_part import AuditPart
from tokenomics_core.traffic._audit_result import Audit, AuditLine, WasteFinding
from tokenomics_core.traffic._audit_run import audit_traffic
from tokenomics_core.traffic._generate import TrafficGenerator, generate_traffic
from tokenomics_core.traffic._generate_plan import GeneratedTruth, PlantedWaste, WastePlan
from tokenomics_core.traffic._readers import TrafficPart, TrafficReader, read_traffic
from tokenomics_core.traffic._readers_split import split_traffic
from tokenomics_core.traffic._readers_write import write_traffic
from tokenomics_core.traffic._record import TrafficRecord

if TYPE_CHECKING:
    from tokenomics_core.traffic._audit_merge import merge_parts
    from tokenomics_core.traffic._facts import audit_partition
    from tokenomics_core.traffic._simulate import simulate_traffic
    from tokenomics_core.traffic._simulate_plan import Compression, LogClock, Plan
    from tokenomics_core.traffic._simulate_result import Simulation
    from tokenomics_core.traffic._sweep import Sweep, sweep

__all__ = [
    "Audit",
    "AuditLine",
    "AuditPart",
    "Compression",
    "GeneratedTruth",
    "LogClock",
    "Plan",
    "PlantedWaste",
    "Simulation",
    "Sweep",
    "TrafficGenerator",
    "TrafficPart",
    "TrafficReader",
    "TrafficRecord",
    "WasteFinding",
    "WastePlan",
    "audit_partition",
    "audit_traffic",
    "generate_traffic",
    "merge_parts",
    "read_traffic",
    "simulate_traffic",
    "split_traffic",
    "sweep",
    "write_traffic",
]


_LATER = {
    "Compression": "tokenomics_core.traffic._simulate_plan",
    "LogClock": "tokenomics_core.traffic._simulate_plan",
    "Plan": "tokenomics_core.traffic._simulate_plan",
    "Simulation": "tokenomics_core.traffic._simulate_result",
    "Sweep": "tokenomics_core.traffic._sweep",
    "audit_partition": "tokenomics_core.traffic._facts",
    "merge_parts": "tokenomics_core.traffic._audit_merge",
    "simulate_traffic": "tokenomics_core.traffic._simulate",
    "sweep": "tokenomics_core.traffic._sweep",
}
"""What loads cache and router, and with them numpy, and is imported when it is asked for."""


def __getattr__(name: str) -> Any:  # the names of a module
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
