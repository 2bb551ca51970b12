"""Which run a model call belongs to, however deep it is nested."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

__all__ = ["RunTree"]

_MOST_OPEN_RUNS = 10_000


class RunTree(BaseCallbackHandler):
    """Remember the outermost run of every chain, tool and retriever that is under way."""

    run_inline = True

    def __init__(self) -> None:
        super().__init__()
        self._roots: OrderedDict[UUID, UUID] = OrderedDict()

    def root_of(self, run_id: UUID, parent_run_id: UUID | None) -> UUID:
        """Return the outermost run around a run; itself where there is none."""
        if parent_run_id is None:
            return run_id
        return self._roots.get(parent_run_id, parent_run_id)

    def on_run_cancelled(self, root: UUID) -> None:
        """Learn that a whole run was cancelled."""

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note that a chain or an agent began."""
        self._enter(run_id, parent_run_id)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it ended."""
        self._roots.pop(run_id, None)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it failed."""
        root = self._roots.pop(run_id, None)
        if root == run_id and isinstance(error, asyncio.CancelledError):
            self.on_run_cancelled(root)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that a tool began; a model may be asked inside it."""
        self._enter(run_id, parent_run_id)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it ended."""
        self._roots.pop(run_id, None)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it failed."""
        self._roots.pop(run_id, None)

    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Note that a retriever began; a model may be asked inside it."""
        self._enter(run_id, parent_run_id)

    def on_retriever_end(self, documents: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it ended."""
        self._roots.pop(run_id, None)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that it failed."""
        self._roots.pop(run_id, None)

    def _enter(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        roots = self._roots
        roots[run_id] = self.root_of(run_id, parent_run_id)
        if len(roots) > _MOST_OPEN_RUNS:  # runs whose end nobody told
            roots.popitem(last=False)
