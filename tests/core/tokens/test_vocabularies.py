"""Vocabularies are found, checked and fetched without touching anyone else's state."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import tiktoken

from tokenomics_core.tokens import Vocabularies, count_tokens, estimate_tokens, load_vocabulary
from tokenomics_core.tokens._vocabulary import local_folders

O200K_FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"


def alone(**settings) -> Vocabularies:
    """Vocabularies that do not see what other tests made tiktoken load."""
    return Vocabularies(loaded=lambda name: None, **settings)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Fetcher:
    """A download that fails or succeeds on command and counts its calls."""

    def __init__(self, outcome: tiktoken.Encoding | Exception) -> None:
        self.outcome = outcome
        self.calls = 0
        self.may_finish = threading.Event()
        self.may_finish.set()

    def __call__(self, name: str) -> tiktoken.Encoding:
        self.calls += 1
        assert self.may_finish.wait(10)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def toy() -> tiktoken.Encoding:
    letters = {bytes([code]): code for code in range(256)}
    return tiktoken.Encoding("toy", pat_str=r"\S+|\s+", mergeable_ranks=letters, special_tokens={})


def run(code: str, **environment: str) -> str:
    """Run code in an interpreter of its own, where every attempt to reach the network fails."""
    blocked = """
        import socket
        attempts = []
        def refuse(self, address):
            attempts.append(address)
            raise OSError("this test has no network")
        socket.socket.connect = refuse
        def no_name(*args, **kwargs):
            attempts.append(args)
            raise socket.gaierror("this test has no network")
        socket.getaddrinfo = no_name
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(blocked) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_area_loads_no_tokenizer_and_no_framework():
    loaded = run(
        """
        import sys, tokenomics_core.tokens
        tokenomics_core.tokens.count_tokens("hello")
        print(sorted({"llama_index.core", "langchain_core", "requests"} & set(sys.modules)))
        """
    )
    assert loaded.strip() == "[]"
    loaded = run(
        """
        import sys, tokenomics_core.tokens
        print("tiktoken" in sys.modules, "regex" in sys.modules)
        """
    )
    assert loaded.strip() == "False False"


def test_without_network_the_bundled_copy_gives_an_exact_count(vocabulary_folder, tmp_path):
    counted = run(
        """
        import os
        from tokenomics_core.tokens import count_tokens
        before = dict(os.environ)
        models = "gpt-4o", "gpt-4", "gpt-oss-20b"
        print([repr(count_tokens("tiktoken is great!", model)) for model in models])
        print(attempts, os.environ == before)
        """,
        TIKTOKEN_CACHE_DIR=str(tmp_path),
    )
    assert counted.splitlines() == [
        str(
            [
                "TokenCount(6, estimated=False, method='tiktoken o200k_base')",
                "TokenCount(6, estimated=False, method='tiktoken cl100k_base')",
                "TokenCount(6, estimated=False, method='tiktoken o200k_harmony')",
            ]
        ),
        "[] True",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("download", ["background", "wait", "never"])
def test_without_network_and_copy_the_count_is_an_estimate(tmp_path, download):
    counted = run(
        f"""
        import sys
        sys.modules["llama_index"] = None
        from tokenomics_core.tokens import count_tokens
        for _ in range(3):
            print(repr(count_tokens("tiktoken is great!", "gpt-4o", download={download!r})))
        """,
        TIKTOKEN_CACHE_DIR=str(tmp_path),
    )
    tokens = estimate_tokens("tiktoken is great!")
    expected = f"TokenCount({tokens}, estimated=True, method='characters by script')"
    assert counted.splitlines() == [expected] * 3


def test_counting_leaves_the_bundled_folder_as_it_is(vocabulary_folder):
    before = {path.name: path.stat().st_mtime_ns for path in vocabulary_folder.iterdir()}
    vocabularies = alone(folders=lambda: [vocabulary_folder])
    assert vocabularies.get("o200k_base", download="never") is not None
    assert vocabularies.get("p50k_base", download="never") is None
    assert {path.name: path.stat().st_mtime_ns for path in vocabulary_folder.iterdir()} == before


def test_a_damaged_file_is_passed_over_and_kept(vocabulary_folder, tmp_path):
    damaged = tmp_path / O200K_FILE
    damaged.write_bytes((vocabulary_folder / O200K_FILE).read_bytes()[:-20])
    size = damaged.stat().st_size
    assert alone(folders=lambda: [tmp_path]).get("o200k_base", download="never") is None
    both = alone(folders=lambda: [tmp_path, vocabulary_folder])
    assert both.get("o200k_base", download="never").encode_ordinary("hi there") is not None
    assert damaged.stat().st_size == size


def test_a_file_in_tiktokens_cache_folder_is_used(vocabulary_folder, tmp_path, monkeypatch):
    shutil.copy(vocabulary_folder / O200K_FILE, tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert local_folders()[0] == tmp_path
    assert alone(folders=lambda: local_folders()[:1]).get("o200k_base", download="never") is not None


def test_an_empty_setting_switches_tiktokens_cache_off_as_tiktoken_means_it(monkeypatch):
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert Path() not in local_folders()
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert local_folders()[0].name == "data-gym-cache"
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "/gym")
    assert local_folders()[0] == Path("/gym")


def test_a_background_download_serves_later_calls():
    fetch = Fetcher(toy())
    fetch.may_finish.clear()
    vocabularies = alone(folders=list, fetch=fetch)
    assert count_tokens("abc", "gpt-4o", vocabularies=vocabularies).estimated
    fetch.may_finish.set()
    assert vocabularies.get("o200k_base", download="wait") is fetch.outcome
    count = count_tokens("abc", "gpt-4o", vocabularies=vocabularies)
    assert (count, count.estimated, fetch.calls) == (3, False, 1)


def test_waiting_for_a_download_ends_when_the_time_is_up():
    fetch = Fetcher(toy())
    fetch.may_finish.clear()
    vocabularies = alone(folders=list, fetch=fetch, wait_s=0.01)
    assert vocabularies.get("o200k_base", download="wait") is None
    assert not load_vocabulary("gpt-4o", vocabularies=vocabularies)
    fetch.may_finish.set()
    assert fetch.calls == 1


def test_many_threads_start_one_download():
    fetch = Fetcher(toy())
    fetch.may_finish.clear()
    vocabularies = alone(folders=list, fetch=fetch)
    threads = [threading.Thread(target=vocabularies.get, args=("o200k_base",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetch.may_finish.set()
    assert vocabularies.get("o200k_base", download="wait") is fetch.outcome
    assert fetch.calls == 1


@pytest.mark.parametrize(
    "failure", [OSError("no route"), ValueError("hash mismatch"), ImportError("tiktoken")]
)
def test_a_failed_download_is_remembered_and_tried_again_later(failure):
    clock, fetch = Clock(), Fetcher(failure)
    vocabularies = alone(folders=list, fetch=fetch, clock=clock, retry_after_s=600)
    for _ in range(3):
        assert vocabularies.get("o200k_base", download="wait") is None
    assert fetch.calls == 1
    clock.now_s = 599
    assert vocabularies.get("o200k_base", download="wait") is None
    assert fetch.calls == 1
    clock.now_s = 601
    fetch.outcome = toy()
    assert vocabularies.get("o200k_base", download="wait") is fetch.outcome
    assert fetch.calls == 2


def test_never_means_that_nothing_is_fetched():
    fetch = Fetcher(toy())
    assert alone(folders=list, fetch=fetch).get("o200k_base", download="never") is None
    assert fetch.calls == 0


def test_a_vocabulary_that_appears_later_is_found_after_a_while(vocabulary_folder, tmp_path):
    clock = Clock()
    vocabularies = alone(folders=lambda: [tmp_path], clock=clock)
    assert vocabularies.get("cl100k_base", download="never") is None
    for path in vocabulary_folder.iterdir():
        shutil.copy(path, tmp_path)
    assert vocabularies.get("cl100k_base", download="never") is None
    clock.now_s = 700
    assert vocabularies.get("cl100k_base", download="never") is not None


def test_what_tiktoken_has_in_memory_is_used():
    encoding = toy()
    vocabularies = Vocabularies(folders=list, loaded={"o200k_base": encoding}.get)
    assert vocabularies.get("o200k_base", download="never") is encoding


def test_an_encoding_that_tiktoken_does_not_know_is_not_at_hand():
    assert alone().get("no_such_encoding", download="never") is None


def test_loading_ahead_tells_whether_it_worked(vocabulary_folder):
    assert load_vocabulary("gpt-4o", download="never", vocabularies=alone())
    assert not load_vocabulary("gpt-4o", download="never", vocabularies=alone(folders=list))
