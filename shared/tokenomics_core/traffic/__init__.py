"""Traffic logs: read what other tools wrote, audit what was wasted, simulate what would have been saved."""

from __future__ import annotations

from tokenomics_core.traffic._audit_result import Audit, AuditLine, WasteFinding
from tokenomics_core.traffic._generate import TrafficGenerator, generate_traffic
from tokenomics_core.traffic._generate_plan import GeneratedTruth, PlantedWaste, WastePlan
from tokenomics_core.traffic._readers import TrafficPart, TrafficReader, read_traffic
from tokenomics_core.traffic._readers_split import split_traffic
from tokenomics_core.traffic._readers_write import write_traffic
from tokenomics_core.traffic._record import TrafficRecord

__all__ = [
    "Audit",
    "AuditLine",
    "GeneratedTruth",
    "PlantedWaste",
    "TrafficGenerator",
    "TrafficPart",
    "TrafficReader",
    "TrafficRecord",
    "WasteFinding",
    "WastePlan",
    "generate_traffic",
    "read_traffic",
    "split_traffic",
    "write_traffic",
]
