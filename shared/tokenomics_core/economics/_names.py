"""Model names as a bill and a ledger both spell them."""

from __future__ import annotations

import re

__all__ = ["plain_name"]

_PROVIDERS = (
    "openai|anthropic|google|google_genai|google_vertexai|vertex_ai|azure|bedrock|gemini|mistralai|cohere"
)
_STEPS = (
    (re.compile(r"^ft:([^:]+)(:.*)?$"), r"ft-\1"),  # a bill says ft-gpt-4o, the API ft:gpt-4o:owner::id
    (re.compile(rf"^({_PROVIDERS}):"), ""),
    (re.compile(r"^.*/"), ""),
    (
        re.compile(r"^((us|eu|apac|global|jp|au)\.)?(anthropic|amazon|meta|mistral|cohere|deepseek|ai21)\."),
        "",
    ),
    (re.compile(r"\[[^]]*\]$|\?.*$"), ""),
    (re.compile(r"-v\d+(:\d+)?$"), ""),
    (re.compile(r"[-@]20\d{2}-?\d{2}-?\d{2}$|-latest$"), ""),
)


def plain_name(model: str) -> str:
    """Return a model's name without what only one side writes: provider, date, version of the endpoint.

    `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `anthropic/claude-sonnet-4.5` and `Claude Sonnet 4.5`
    become `claude-sonnet-4-5`; `openai:gpt-4o-2024-08-06` becomes `gpt-4o`.
    """
    plain = re.sub(r"\s+", "-", model.strip().lower())
    for pattern, replacement in _STEPS:
        plain = pattern.sub(replacement, plain)
    return plain.replace(".", "-") if plain.startswith("claude") else plain
