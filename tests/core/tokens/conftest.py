"""An independent o200k and cl100k: tiktoken's own loading, from the copy inside llama-index-core."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext import openai_public


def _bundled() -> Path | None:
    spec = importlib.util.find_spec("llama_index")
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place) / "core" / "_static" / "tiktoken_cache"
        if folder.is_dir():
            return folder
    return None


@pytest.fixture(scope="session")
def vocabulary_folder() -> Path:
    folder = _bundled()
    if folder is None:
        if os.environ.get("CI") == "true":
            pytest.fail("llama-index-core, whose vocabularies these tests need, is not installed")
        pytest.skip("llama-index-core, whose vocabularies this test needs, is not installed")
    return folder


@pytest.fixture(scope="session")
def encodings(vocabulary_folder: Path) -> dict[str, tiktoken.Encoding]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(vocabulary_folder))
        return {
            "o200k_base": tiktoken.Encoding(**openai_public.o200k_base()),
            "cl100k_base": tiktoken.Encoding(**openai_public.cl100k_base()),
        }
