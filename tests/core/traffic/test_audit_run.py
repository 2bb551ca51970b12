"""An audit of files goes on where it was killed, and is the same by any number of processes."""

import subprocess
import sys
import textwrap
from typing import ClassVar

import pytest

from tokenomics_core import ConfigurationError, StoreError
from tokenomics_core.traffic import (
    TrafficReader,
    WastePlan,
    audit_traffic,
    generate_traffic,
    read_traffic,
    write_traffic,
)

FILES, PER_FILE = 4, 60
MORTAL = """
    import os, signal, sys
    from tokenomics_core.traffic import TrafficReader, audit_traffic, read_traffic

    class Mortal(TrafficReader):
        def __iter__(self):
            for number, record in enumerate(super().__iter__()):
                if number == 20 and self.parts[0].path.endswith("2.jsonl"):
                    os.kill(os.getpid(), signal.SIGKILL)
                yield record

        def over(self, *parts):
            return Mortal(parts, format="auto", columns=None, hasher=None, strict=False)

    folder, workdir = sys.argv[1:]
    audit_traffic(Mortal(read_traffic(folder).parts, format="auto", columns=None, hasher=None, strict=False),
                  workdir=workdir)
"""


class CountingReader(TrafficReader):
    """Counts how many calls are read of each file, in whatever reader was made of it."""

    read: ClassVar[dict[str, int]] = {}

    def __iter__(self):
        for record in super().__iter__():
            name = self.parts[0].path
            self.read[name] = self.read.get(name, 0) + 1
            yield record

    def over(self, *parts):
        return counting(parts)


def counting(parts):
    return CountingReader(parts, format="auto", columns=None, hasher=None, strict=False)


@pytest.fixture
def folder(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    records = list(generate_traffic(FILES * PER_FILE, seed=3, waste=WastePlan.only("exact_repeats"), days=1))
    for number in range(FILES):
        write_traffic(records[number * PER_FILE : (number + 1) * PER_FILE], logs / f"{number}.jsonl")
    return logs


def read_of(folder, workdir):
    """Audit and return the audit and how many calls of each file were read."""
    CountingReader.read.clear()
    audit = audit_traffic(counting(read_traffic(folder).parts), workdir=workdir)
    return audit, {name[-7:]: count for name, count in sorted(CountingReader.read.items())}


def test_a_killed_audit_goes_on_where_it_was(folder, tmp_path):
    workdir = tmp_path / "work"
    code = [sys.executable, "-c", textwrap.dedent(MORTAL), str(folder), str(workdir)]
    killed = subprocess.run(code, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert len(list(workdir.glob("*.npz"))) == 2
    audit, read = read_of(folder, workdir)
    looked_at = 3  # to tell whether a file is still read the same way
    assert read == {
        "0.jsonl": looked_at,
        "1.jsonl": looked_at,
        "2.jsonl": looked_at + PER_FILE,
        "3.jsonl": looked_at + PER_FILE,
    }
    assert audit == audit_traffic(read_traffic(folder))


def test_what_was_half_written_is_read_anew(folder, tmp_path):
    workdir = tmp_path / "work"
    whole, _ = read_of(folder, workdir)
    first, second, *_ = sorted(workdir.glob("*.npz"))
    first.write_bytes(first.read_bytes()[:-200])
    second.unlink()
    (workdir / f"{second.name}.123.half").write_bytes(b"PK")
    audit, read = read_of(folder, workdir)
    assert audit == whole
    assert sorted(read.values()) == [3, 3, 3 + PER_FILE, 3 + PER_FILE]
    assert not list(workdir.glob("*.half"))


def test_a_file_that_changed_is_read_anew(folder, tmp_path):
    workdir = tmp_path / "work"
    read_of(folder, workdir)
    lines = (folder / "1.jsonl").read_text().splitlines(keepends=True)
    (folder / "1.jsonl").write_text("".join(lines[:-1]))
    audit, read = read_of(folder, workdir)
    assert audit.rows == FILES * PER_FILE - 1
    assert read["1.jsonl"] == 3 + PER_FILE - 1
    assert read["2.jsonl"] == 3


def test_another_way_of_reading_does_not_take_up_the_old_one(folder, tmp_path):
    workdir = tmp_path / "work"
    plain = audit_traffic(read_traffic(folder), workdir=workdir)
    hashed = audit_traffic(read_traffic(folder, hash_secret="a secret of some length"), workdir=workdir)
    assert hashed.total_usd == plain.total_usd
    names = [{line.key for line in audit.by("user")} - {None} for audit in (plain, hashed)]
    assert names[0].isdisjoint(names[1])


def test_bad_lines_are_counted_and_quoted_also_after_a_resume(folder, tmp_path):
    with (folder / "3.jsonl").open("a") as file:
        file.write("not a call\n")
    for _ in range(2):
        audit = audit_traffic(read_traffic(folder), workdir=tmp_path / "work")
        assert audit.bad == 1
        assert "3.jsonl" in audit.problems[0]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log that is worth more than one process."""
    path = tmp_path_factory.mktemp("logs") / "log.jsonl"
    write_traffic(generate_traffic(2_300, seed=4, days=3), path)
    assert path.stat().st_size > 8 * 2**20
    return path


def test_several_processes_give_the_audit_of_one(log, tmp_path):
    together = audit_traffic(read_traffic(log), processes=2, workdir=tmp_path / "work")
    assert len(list((tmp_path / "work").glob("*.npz"))) == 2
    assert together == audit_traffic(read_traffic(log), processes=1)


def test_a_bad_line_stops_a_strict_audit_in_a_worker_too(log, tmp_path):
    damaged = tmp_path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines.insert(10, b"not a call\n")
    damaged.write_bytes(b"".join(lines))
    with pytest.raises(ConfigurationError, match="reading stopped there"):
        audit_traffic(read_traffic(damaged, strict=True), processes=2)


def test_a_folder_that_cannot_be_made_is_told(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="nothing was audited"):
        audit_traffic(read_traffic(folder), workdir=tmp_path / "file" / "work")
