"""Write a query engine's responses down and read them back, source nodes included."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore
from llama_index.core.storage.docstore.utils import doc_to_json, json_to_doc
from pydantic import BaseModel

from llama_index_tokenomics._cache_event import MARK

__all__ = ["Shape", "StoredResponse", "read_response", "sources_of", "write_response"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """How an engine answers.

    Attributes:
        output_cls: The schema of its answers, where they are objects.
        streams: Whether they come in pieces.
        is_async: Whether those are awaited.
    """

    output_cls: type[BaseModel] | None = None
    streams: bool = False
    is_async: bool = False


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as it is kept.

    Attributes:
        text: What it says; JSON where it is an object.
        pieces: The text as it arrived, where it was streamed.
        nodes: What it was drawn from.
        metadata: What the engine says about it.
    """

    text: str
    pieces: tuple[str, ...]
    nodes: tuple[NodeWithScore, ...]
    metadata: dict[str, Any] | None

    def response(self, shape: Shape, mark: dict[str, Any]) -> RESPONSE_TYPE:
        """Answer again in the engine's shape."""
        nodes = list(self.nodes)
        metadata = {**(self.metadata or {}), MARK: mark}
        pieces = self.pieces or (self.text,)
        if shape.output_cls is not None:
            return PydanticResponse(shape.output_cls.model_validate_json(self.text), nodes, metadata)
        if shape.streams and shape.is_async:
            return AsyncStreamingResponse(_again_async(pieces), nodes, metadata)  # type: ignore[arg-type]  # it is only iterated
        if shape.streams:
            return StreamingResponse(_again(pieces), nodes, metadata)  # type: ignore[arg-type]  # it is only iterated
        return Response(self.text, nodes, metadata)


def write_response(
    text: str, pieces: Sequence[str], nodes: Sequence[NodeWithScore], metadata: dict[str, Any] | None
) -> str:
    """Write a response as JSON, without the vectors of its nodes.

    Raises:
        ValueError: It holds what JSON cannot.
        TypeError: The same.
    """
    written = {
        "v": _VERSION,
        "text": text,
        "pieces": list(pieces),
        "nodes": [{"node": _written(each.node), "score": each.score} for each in nodes],
        "metadata": metadata,
    }
    payload = json.dumps(written, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if json.loads(payload) != written:
        raise ValueError("reading it back would make another response")
    return payload


def read_response(payload: str | bytes, shape: Shape) -> StoredResponse | None:
    """Read what `write_response` wrote; None where it is anything else."""
    try:
        data = json.loads(payload)
        if not isinstance(data, dict) or data.get("v") != _VERSION:
            return None
        nodes = tuple(
            NodeWithScore(node=json_to_doc(each["node"]), score=each["score"]) for each in data["nodes"]
        )
        metadata = data["metadata"]
        if metadata is not None and not isinstance(metadata, dict):
            return None
        stored = StoredResponse(str(data["text"]), tuple(map(str, data["pieces"])), nodes, metadata)
        if shape.output_cls is not None:
            shape.output_cls.model_validate_json(stored.text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return stored


def sources_of(nodes: Sequence[NodeWithScore]) -> tuple[str, ...]:
    """Return the ids of nodes and of the documents that they were cut from."""
    found: dict[str, None] = {}
    for each in nodes:
        for name in (each.node.node_id, each.node.ref_doc_id):
            if name:
                found[name] = None
    return tuple(found)


def _written(node: BaseNode) -> dict[str, Any]:
    node.get_content(metadata_mode=MetadataMode.NONE)  # raises where there is nothing to write
    data = json.loads(json.dumps(doc_to_json(node)))
    data["__data__"]["embedding"] = None
    return dict(data)


def _again(pieces: Sequence[str]) -> Iterator[str]:
    yield from pieces


async def _again_async(pieces: Sequence[str]) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
