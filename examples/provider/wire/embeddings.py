"""OpenAI embeddings, as its clients read it."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

from examples.provider.exchange import EmbeddingRequest, ProviderError
from examples.provider.wire._common import require, whole_number

__all__ = ["parse", "render"]


def parse(body: Mapping[str, Any], headers: Mapping[str, str]) -> EmbeddingRequest:
    """Read a request for one text or many, each as text or as token ids."""
    return EmbeddingRequest(
        model=str(require(body, "model")),
        inputs=_inputs(require(body, "input")),
        dimensions=whole_number(body, "dimensions"),
        base64=body.get("encoding_format") == "base64",
        body=body,
        headers=headers,
    )


def _inputs(given: Any) -> tuple[str | tuple[int, ...], ...]:
    many = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    inputs = tuple(item if isinstance(item, str) else tuple(item) for item in many)
    for item in inputs:
        if not isinstance(item, str) and not all(isinstance(token, int) for token in item):
            raise ProviderError(400, "'input' must hold texts or lists of token ids.")
    return inputs


def render(request: EmbeddingRequest, vectors: list[list[float]], tokens: int) -> dict[str, Any]:
    """Write vectors as numbers, or as little-endian 32-bit floats in base64, as asked."""
    return {
        "object": "list",
        "model": request.model,
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(vector) if request.base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
