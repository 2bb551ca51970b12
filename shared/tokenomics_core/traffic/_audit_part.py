"""What an audit keeps of each call: numbers and digests in columns, never the prompt."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokenomics_core.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["COLUMNS", "NAMES", "RAGGED", "VERSION", "AuditPart", "PartWriter"]

VERSION: Final = 1
"""Of what the columns mean; a part of another version is read anew."""

COLUMNS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("at_us", "end_us", "name", "tie", "own_pico"), "q"),
    **dict.fromkeys(("request", "again", "before", "block", "question", "user_request"), "q"),
    **dict.fromkeys(("run", "answer", "template", "start_5", "start_10", "start_20", "start_40"), "q"),
    **dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"), "i"),
    **dict.fromkeys(("model", "feature", "user", "usage", "text", "layout"), "i"),
    **dict.fromkeys(("repeated_tokens", "unused_tokens", "passages"), "i"),
    "flags": "i",
}
"""Columns of one value per call, with their kind: `q` 64 bits, `i` 32 bits. Unknown counts are -1."""
RAGGED: Final[Mapping[str, str]] = {"slots": "q", "loops": "q"}
"""Columns of any number of values per call."""
NAMES: Final = ("models", "features", "users", "usages", "texts", "wheres", "layouts", "excerpts")
"""Tables of texts; all but `wheres` hold each text once, and calls name it by its place."""


class AuditPart:
    """The facts of some calls: what one process, or one worker of a cluster, found out about its share.

    It holds numpy arrays and texts only, can be written to a file and read again on another machine.

    Attributes:
        rows: Number of calls.
        bad: Lines that could not be read.
        problems: The first of them, quoted.
    """

    def __init__(
        self,
        columns: Mapping[str, NDArray[Any]],
        tables: Mapping[str, Sequence[str]],
        *,
        bad: int = 0,
        problems: Sequence[str] = (),
    ) -> None:
        self._columns, self._tables = columns, tables
        self.rows = len(columns["at_us"])
        self.bad, self.problems = bad, tuple(problems)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column; of a ragged one the values in a row, and under `NAME_counts` their numbers."""
        return self._columns[name]

    def table(self, name: str) -> Sequence[str]:
        """Return one table of texts."""
        return self._tables[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, whole or not at all."""
        import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

        target = Path(path)
        half = target.with_name(f"{target.name}.{os.getpid()}.half")
        head = {"version": VERSION, "rows": self.rows, "bad": self.bad, "problems": list(self.problems)}
        arrays: dict[str, Any] = {f"c_{name}": column for name, column in self._columns.items()}
        for name, texts in self._tables.items():
            arrays[f"t_{name}"], arrays[f"o_{name}"] = _packed(texts)
        with half.open("wb") as file:
            np.savez(file, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
            file.flush()
            os.fsync(file.fileno())
        try:
            half.replace(target)
        except FileNotFoundError:  # another audit in the same folder was faster and tidied up
            if not target.exists():
                raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AuditPart:
        """Open a file that `save` wrote; columns are read when they are asked for.

        Raises:
            StoreError: It is damaged, half-written, or of another version.
        """
        file = _PartFile(Path(path))
        return cls(
            _Lazy(file.column), _Lazy(file.table), bad=file.head["bad"], problems=file.head["problems"]
        )


class PartWriter:
    """Collects the facts of calls, a few hundred bytes each."""

    def __init__(self) -> None:
        self._columns = {name: array(kind) for name, kind in COLUMNS.items()}
        self._ragged = {name: array(kind) for name, kind in RAGGED.items()}
        self._counts = {name: array("i") for name in RAGGED}
        self._places: dict[str, dict[str, int]] = {name: {} for name in NAMES if name != "wheres"}
        self._wheres: list[str] = []
        self._append = {name: column.append for name, column in self._columns.items()}

    def __len__(self) -> int:
        return len(self._wheres)

    def place(self, table: str, text: str) -> int:
        """Return the place of a text in a table, adding it where it is new."""
        places = self._places[table]
        found = places.get(text)
        if found is None:
            found = places[text] = len(places)
        return found

    def add(self, where: str, values: Mapping[str, int], ragged: Mapping[str, Iterable[int]]) -> None:
        """Add one call: a value for every column."""
        for name, append in self._append.items():
            append(values[name])
        for name, several in self._ragged.items():
            before = len(several)
            several.extend(ragged[name])
            self._counts[name].append(len(several) - before)
        self._wheres.append(where)

    def part(self, *, bad: int = 0, problems: Sequence[str] = ()) -> AuditPart:
        """Return what was collected."""
        import numpy as np  # noqa: PLC0415 - see above

        kinds = {"q": np.int64, "i": np.int32}
        columns: dict[str, NDArray[np.generic]] = {
            name: np.frombuffer(column, kinds[COLUMNS[name]]) if column else np.empty(0, kinds[COLUMNS[name]])
            for name, column in self._columns.items()
        }
        for name, several in self._ragged.items():
            columns[name] = np.array(several, np.int64)
            columns[f"{name}_counts"] = np.array(self._counts[name], np.int32)
        tables: dict[str, Sequence[str]] = {name: list(places) for name, places in self._places.items()}
        tables["wheres"] = self._wheres
        return AuditPart(columns, tables, bad=bad, problems=problems)


class _Lazy(Mapping[str, Any]):
    """Looks up when asked, and keeps nothing."""

    def __init__(self, find: Any) -> None:
        self._find = find

    def __getitem__(self, name: str) -> Any:
        return self._find(name)

    def __iter__(self) -> Any:
        return iter(_column_names())

    def __len__(self) -> int:
        return len(_column_names())


def _column_names() -> list[str]:
    return [*COLUMNS, *RAGGED, *(f"{name}_counts" for name in RAGGED)]


class _PartFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.head: dict[str, Any] = json.loads(self._read("head").tobytes())
            if self.head["version"] != VERSION:
                raise StoreError(str(path), "a part of an audit of another version; it was not read")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise StoreError(str(path), f"no part of an audit ({error}); it was not read") from error

    def column(self, name: str) -> NDArray[Any]:
        return self._read(f"c_{name}")

    def table(self, name: str) -> Sequence[str]:
        return _unpacked(self._read(f"t_{name}"), self._read(f"o_{name}"))

    def _read(self, name: str) -> NDArray[Any]:
        import zipfile  # noqa: PLC0415 - only where parts are kept in files

        import numpy as np  # noqa: PLC0415 - see above

        try:
            with self._path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found: NDArray[Any] = file[name]
        except zipfile.BadZipFile as error:
            raise StoreError(str(self._path), f"damaged ({error}); it was not read") from error
        return found


def _packed(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    import numpy as np  # noqa: PLC0415 - see above

    pieces = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64) if pieces else np.empty(0, np.int64)
    return np.frombuffer(b"".join(pieces), np.uint8), ends


def _unpacked(blob: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    raw, start, texts = blob.tobytes(), 0, []
    for end in ends.tolist():
        texts.append(raw[start:end].decode("utf-8", "surrogatepass"))
        start = end
    return texts
