"""Calls for small logs whose wastes can be worked out by hand."""

from datetime import UTC, datetime, timedelta

from tokenomics_core import Attribution, Usage
from tokenomics_core.traffic import TrafficRecord, audit_traffic

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


def call(at_s=0.0, text="How do I reset my password?", **given):
    """Return a call of gpt-4o with 1,000 tokens in and 100 out, which costs 0.0035 USD, unless told else."""
    usage = given.pop("usage", None) or Usage(
        input_tokens=given.pop("tokens_in", 1_000),
        output_tokens=given.pop("tokens_out", 100),
        cache_read_tokens=given.pop("read", None),
    )
    messages = given.pop("messages", None)
    if messages is None:
        system = given.pop("system", "You are the help desk of a shop.")
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    who = {name: given.pop(name, None) for name in ("user", "feature", "project", "conversation", "run")}
    values = {
        "model": "gpt-4o",
        "provider": "openai",
        "answer": "Open the settings and choose a new one.",
        "finish_reason": "stop",
        "settings": {"temperature": 0, "max_tokens": 500},
        "attribution": Attribution(**who, tags=given.pop("tags", {})),
        "where": f"log:{at_s:g}:{text[:20]}",
    }
    return TrafficRecord(
        at=START + timedelta(seconds=at_s), usage=usage, messages=messages, **(values | given)
    )


def waste(kind, calls, **settings):
    """Audit calls and return one kind of waste, None where there is none."""
    return audit_traffic(calls, **settings).waste(kind)
