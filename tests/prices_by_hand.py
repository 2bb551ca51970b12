"""A bill worked out by hand, from a price list that the package never sees."""

from decimal import Decimal

# USD per million tokens as the providers list them (openai.com/api/pricing, Anthropic's pricing page), for
# models whose price has no change announced: plain input, cache read, 5-minute and 1-hour write, output,
# audio.
LIST = {
    "gpt-4o": {"in": "2.5", "read": "1.25", "out": "10"},
    "gpt-4o-mini": {"in": "0.15", "read": "0.075", "out": "0.6"},
    "gpt-4.1-mini": {"in": "0.4", "read": "0.1", "out": "1.6"},
    "gpt-5": {"in": "1.25", "read": "0.125", "out": "10"},
    "gpt-5 flex": {"in": "0.625", "read": "0.0625", "out": "5"},
    "gpt-5 priority": {"in": "2.5", "read": "0.25", "out": "20"},
    "gpt-4o batch": {"in": "1.25", "out": "5"},
    "o4-mini": {"in": "1.1", "read": "0.275", "out": "4.4"},
    "gpt-audio": {"in": "2.5", "out": "10", "audio in": "32", "audio out": "64"},
    "text-embedding-3-small": {"in": "0.02"},
    "claude-haiku-4-5": {"in": "1", "read": "0.1", "w5m": "1.25", "w1h": "2", "out": "5"},
    "claude-haiku-4-5 batch": {"in": "0.5", "read": "0.05", "w5m": "0.625", "w1h": "1", "out": "2.5"},
    "claude-sonnet-4-5": {"in": "3", "read": "0.3", "w5m": "3.75", "w1h": "6", "out": "15"},
    "claude-sonnet-4-5 long": {"in": "6", "read": "0.6", "w5m": "7.5", "w1h": "12", "out": "22.5"},
}


def usd(model, **tokens):
    """Add up tokens, each kind counted once, at the list price of its kind."""
    kinds = {"input": "in", "read": "read", "w5m": "w5m", "w1h": "w1h", "output": "out"}
    kinds |= {"audio_input": "audio in", "audio_output": "audio out"}
    return sum(
        (Decimal(LIST[model][kinds[kind]]) * count / 1_000_000 for kind, count in tokens.items()), Decimal(0)
    )
