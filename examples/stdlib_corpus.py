"""A real corpus on every machine: the docstrings of the running Python's standard library."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["MODULES", "Document", "build_corpus", "describe_modules"]

MODULES = (
    "abc", "argparse", "array", "ast", "base64", "binascii", "bisect", "builtins", "calendar", "cmath",
    "codecs", "collections", "colorsys", "concurrent.futures", "configparser", "contextlib", "copy", "csv",
    "dataclasses", "datetime", "decimal", "difflib", "email.utils", "enum", "filecmp", "fnmatch",
    "fractions", "functools", "getpass", "gettext", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac",
    "html", "inspect", "io", "ipaddress", "itertools", "json", "keyword", "linecache", "logging", "math",
    "mimetypes", "operator", "os.path", "pathlib", "pprint", "queue", "random", "re", "sched", "secrets",
    "shlex", "shutil", "statistics", "string", "struct", "subprocess", "tempfile", "textwrap", "threading",
    "time", "timeit", "traceback", "types", "typing", "unicodedata", "urllib.parse", "uuid", "warnings",
    "weakref", "zipfile", "zlib", "zoneinfo",
)  # fmt: skip
"""Modules that every Python from 3.11 to 3.14 has, on every system."""

_SHORTEST_DOCSTRING = 40
_HOOKS = frozenset({"excepthook", "showwarning"})
"""Functions that programs replace, so that the same Python may show others."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the library says about one function, class or method.

    Attributes:
        id: Its path, such as `collections.Counter.most_common`.
        module: The module that it is documented under.
        kind: `function`, `class` or `method`.
        text: A heading with the path and the signature, then the docstring.
    """

    id: str
    module: str
    kind: str
    text: str


def build_corpus() -> list[Document]:
    """Collect the documents of `MODULES` in the order of their names.

    The same Python gives the same documents; another version of Python words some of them otherwise.

    Raises:
        RuntimeError: Python runs with `-OO`, which strips every docstring.
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError("Python runs with -OO, which strips docstrings; no corpus was built")
    documents: dict[str, Document] = {}
    for name in MODULES:
        for document in _documents_of(import_module(name), name):
            documents.setdefault(document.id, document)
    return [documents[path] for path in sorted(documents)]


def _documents_of(module: ModuleType, name: str) -> Iterator[Document]:
    prefix = "" if name == "builtins" else f"{name}."
    for public in sorted(set(_public_names(module)) - _HOOKS):
        value = getattr(module, public, None)
        if inspect.isclass(value):
            if value.__doc__ and not _is_alias(value, public):
                yield from _class_documents(value, name, f"{prefix}{public}")
        elif inspect.isroutine(value):
            yield from _document(value, name, f"{prefix}{public}", "function")


def _public_names(module: ModuleType) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is not None:
        return list(names)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and getattr(value, "__module__", None) in {module.__name__, f"_{module.__name__}", "builtins", None}
    ]


def _is_alias(value: type, public: str) -> bool:
    return value.__name__ != public


def _class_documents(value: type, module: str, path: str) -> Iterator[Document]:
    yield from _document(value, module, path, "class")
    for name, member in sorted(vars(value).items()):
        if name.startswith("_"):
            continue
        plain = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if inspect.isroutine(plain):
            yield from _document(plain, module, f"{path}.{name}", "method")


def _document(value: Any, module: str, path: str, kind: str) -> Iterator[Document]:
    docstring = inspect.cleandoc(getattr(value, "__doc__", None) or "")
    if len(docstring) >= _SHORTEST_DOCSTRING:
        yield Document(path, module, kind, f"### {path}{_signature(value)}\n{docstring}")


def _signature(value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # written in C without one
        return ""
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
    ]
    written = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return written if " at 0x" not in written else ""  # a default whose address changes with every run


def describe_modules() -> list[str]:
    """Return one line per module of `MODULES`: its name and the first sentence of its docstring."""
    return [f"- {name}: {_first_sentence(import_module(name))}" for name in MODULES]


def _first_sentence(module: ModuleType) -> str:
    paragraph = (inspect.getdoc(module) or "No description.").strip().split("\n\n")[0]
    return re.split(r"(?<=[.!?])\s", " ".join(paragraph.split()))[0]
