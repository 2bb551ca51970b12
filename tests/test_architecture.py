"""Arrows point one way: adapters to the core, an area only to the floors below it."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_tokenomics
import llama_index_tokenomics
import tokenomics_core

CORE = Path(tokenomics_core.__file__).parent
LANGCHAIN = Path(langchain_tokenomics.__file__).parent
LLAMA_INDEX = Path(llama_index_tokenomics.__file__).parent

FLOORS = {
    0: {
        "errors",
        "message_content",
        "types",
        "protocols",
        "metered_llm",
        "postgres_link",
        "sqlite_file",
        "steps",
    },
    1: {"pricing", "embedding", "tokens", "rendering", "usage"},
    2: {"ledger", "budgets", "cache", "routing", "compression", "prompts"},
    3: {"batch", "evaluation", "observability", "economics"},
    4: {"traffic"},
    5: {"config"},
    6: {"cli"},
}
FLOOR_OF = {area: floor for floor, areas in FLOORS.items() for area in areas}
FRAMEWORKS = {
    "langchain",
    "langchain_core",
    "langchain_openai",
    "langchain_anthropic",
    "langgraph",
    "llama_index",
    "llama_index_instrumentation",
    "workflows",
    "openai",
    "anthropic",
    "torch",
    "pickle",
}


def _modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _area(path: Path) -> str:
    first = path.relative_to(CORE).parts[0]
    return first.removesuffix(".py")


def _core_areas(names: set[str]) -> set[str]:
    inside = {name.split(".")[1] for name in names if name.startswith("tokenomics_core.")}
    return inside - {"__version__"}


@pytest.mark.parametrize("path", _modules(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_a_core_module_imports_only_from_floors_below_it(path):
    area = _area(path)
    if area in {"__init__", "testing"}:
        return
    assert area in FLOOR_OF, f"{area} has no floor"
    for other in _core_areas(_imports(path)) - {area}:
        assert other != "testing", f"{path} imports the test fakes"
        assert other in FLOOR_OF, f"{path} imports {other}, which has no floor"
        both_at_the_bottom = FLOOR_OF[area] == FLOOR_OF[other] == 0
        assert both_at_the_bottom or FLOOR_OF[other] < FLOOR_OF[area], f"{path} imports {other}"


@pytest.mark.parametrize("path", _modules(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_no_framework(path):
    tops = {name.split(".")[0] for name in _imports(path)}
    assert not tops & (FRAMEWORKS | {"langchain_tokenomics", "llama_index_tokenomics"})


@pytest.mark.parametrize(
    ("package", "other"),
    [
        (LANGCHAIN, {"llama_index_tokenomics", "llama_index"}),
        (LLAMA_INDEX, {"langchain_tokenomics", "langchain_core"}),
    ],
    ids=["langchain", "llama_index"],
)
def test_the_two_adapters_never_meet(package, other):
    for path in _modules(package):
        tops = {name.split(".")[0] for name in _imports(path)}
        assert not tops & (other | {"torch", "pickle"}), path


def test_importing_the_core_loads_nothing_heavy():
    heavy = ["faiss", "genai_prices", "langchain_core", "llama_index", "numpy", "pandas", "pydantic", "rich"]
    heavy += ["tiktoken"]
    code = f"import sys, tokenomics_core; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _packages() -> list[str]:
    names = ["langchain_tokenomics", "llama_index_tokenomics", "tokenomics_core"]
    names += [f"tokenomics_core.{path.parent.name}" for path in CORE.glob("*/__init__.py")]
    return [*names, "tokenomics_core.errors", "tokenomics_core.protocols"]


@pytest.mark.parametrize("name", _packages())
def test_every_public_name_is_listed_exists_and_is_documented(name):
    module = importlib.import_module(name)
    assert isinstance(module.__all__, list)
    assert len(module.__all__) == len(set(module.__all__)) <= 25
    for item in module.__all__:
        value = getattr(module, item)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert value.__doc__, f"{name}.{item} says nothing about itself"
