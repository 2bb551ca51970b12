"""Traffic logs: read what other tools wrote, audit what was wasted, simulate what would have been saved."""

from __future__ import annotations

from tokenomics_core.traffic._audit_result import Audit, AuditLine, WasteFinding
from tokenomics_core.traffic._record import TrafficRecord

__all__ = ["Audit", "AuditLine", "TrafficRecord", "WasteFinding"]
