"""Show an audit: as tables for a terminal, or as one page of HTML that needs nothing else."""

from tokenomics_core.traffic._audit_page import audit_page
from tokenomics_core.traffic._audit_text import audit_tables

__all__ = ["audit_page", "audit_tables"]
