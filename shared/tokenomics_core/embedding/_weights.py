"""The shipped table of token vectors: one file, no pickle, refused where it is damaged."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenomics_core.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Weights", "load_weights", "save_weights", "shipped_weights"]

_FORMAT = 1
_SHIPPED = Path(__file__).parent / "data" / "static.npz"


@dataclass(frozen=True, slots=True)
class Weights:
    """Vectors of tokens in 8 bits.

    Attributes:
        tokens: In the order of the rows; a pair of words has a space in it.
        table: int8, shape `(len(tokens), dimension)`.
        scale: What to multiply each row by, float32, shape `(len(tokens),)`; the token's weight is in it.
        version: Of the training.
        digest: SHA-256 over tokens, table and scale, in hexadecimal digits.
    """

    tokens: tuple[str, ...]
    table: NDArray[np.int8]
    scale: NDArray[np.float32]
    version: str
    digest: str


@cache
def shipped_weights() -> Weights:
    """Load the table that comes with the package, once per process."""
    return load_weights(_SHIPPED)


def load_weights(path: Path) -> Weights:
    """Read a table.

    Raises:
        ConfigurationError: The file is missing, damaged or of another format.
    """
    import numpy as np  # noqa: PLC0415 - importing the package must not load numpy

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            meta: Any = json.loads(data["meta"].tobytes().decode("utf-8"))
            names, table, scale = data["tokens"].tobytes(), data["table"], data["scale"].astype(np.float32)
        if not isinstance(meta, dict):
            raise ValueError(f"its header is {meta!r}")  # noqa: TRY301, TRY004 - told like other damage
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{str(path)!r} holds no token vectors ({error}); nothing was embedded"
        ) from error
    tokens = tuple(names.decode("utf-8").split("\n"))
    digest = _digest(names, table, data_scale=scale)
    shapes_fit = table.ndim == 2 and table.dtype == np.int8 and len(tokens) == len(table) == len(scale)
    if meta.get("format") != _FORMAT or not shapes_fit or meta.get("digest") != digest:
        raise ConfigurationError(
            f"{str(path)!r} is damaged or of another format ({meta.get('format')!r}, not {_FORMAT}); "
            "nothing was embedded"
        )
    return Weights(tokens, table, scale, str(meta.get("version")), digest)


def save_weights(
    path: Path, tokens: tuple[str, ...], table: NDArray[np.int8], scale: NDArray[np.float16], version: str
) -> None:
    """Write a table; `scale` is kept in 16 bits."""
    import numpy as np  # noqa: PLC0415 - see above

    names = "\n".join(tokens).encode("utf-8")
    digest = _digest(names, table, data_scale=scale.astype(np.float32))
    meta = json.dumps({"format": _FORMAT, "version": version, "digest": digest}).encode("utf-8")
    with path.open("wb") as file:
        np.savez(
            file,
            meta=np.frombuffer(meta, np.uint8),
            tokens=np.frombuffer(names, np.uint8),
            table=table,
            scale=scale,
        )


def _digest(names: bytes, table: NDArray[np.int8], *, data_scale: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(names)
    digest.update(table.tobytes())
    digest.update(data_scale.tobytes())
    return digest.hexdigest()
