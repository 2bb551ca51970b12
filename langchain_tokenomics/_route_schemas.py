"""What tools and schemas add to a prompt, as text."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

__all__ = ["schema_text"]

_SENT_ALONG: Final = ("tools", "functions", "response_format")
_MOST: Final = 1_000


def schema_text(kwargs: Mapping[str, Any]) -> str:
    """Return the schemas among the settings of a call as they are sent; "" without any."""
    found: list[str] = []
    for name in _SENT_ALONG:
        value = kwargs.get(name)
        if value is not None:
            found += map(_texts.of, value if isinstance(value, (list, tuple)) else [value])
    return "\n".join(found)


class _Texts:
    """Remembers the schemas of tools, since to make one anew takes longer than a decision."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[BaseTool, str]] = OrderedDict()

    def of(self, schema: Any) -> str:
        """Return a schema as JSON; what cannot be read is left to whoever sends it."""
        if not isinstance(schema, BaseTool):
            return _json(schema)
        with self._lock:
            known = self._known.get(id(schema))
            if known is None:  # held on to, so that its id is not given to another
                known = self._known[id(schema)] = (schema, _json(schema))
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return known[1]


def _json(schema: Any) -> str:
    try:
        made = schema if isinstance(schema, Mapping) else convert_to_openai_tool(schema)
        return json.dumps(made, default=str, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""


_texts = _Texts()
