"""Track the cost of everything LangChain runs inside a block."""

from __future__ import annotations

from contextvars import ContextVar
from typing import cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from langchain_tokenomics.callbacks import BlockCallbackHandler
from tokenomics_core.observability import announce_meter, current_scope, track_cost

__all__ = ["track_cost"]


class _OpenBlock:
    """Stand where LangChain expects a context variable, and answer with the open block's handler.

    LangChain calls `get()` for every run that it configures. Blocks live in the core's one context variable,
    so a hundred blocks add no hook, and a block that another framework opened counts LangChain's calls too.
    """

    def get(self) -> BlockCallbackHandler | None:
        scope = current_scope()
        return None if scope is None else scope.listener("langchain", BlockCallbackHandler)


register_configure_hook(cast("ContextVar[BaseCallbackHandler | None]", _OpenBlock()), inheritable=True)
announce_meter("langchain")
