"""Count in how many texts each stem stands, for `shared/tokenomics_core/cache/data/rarity.json`.

Texts: questions of NLU-Evaluation-Data (CC BY 4.0) and of half of CLINC150 (CC BY 3.0), paragraphs of
Wikipedia from Natural Questions and HotpotQA (CC BY-SA). Only counts of words are kept, rounded to bands.
Run: python training/verifier/rarity.py DATA_FOLDER
"""

from __future__ import annotations

import gzip
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenomics_core.cache._lexicon import stem

OUT = Path(__file__).parents[2] / "shared/tokenomics_core/cache/data/rarity.json"
N_STEMS = 12_000
WORD = re.compile(r"[^\W\d_]+")


def rows(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def texts(folder: Path) -> Iterator[str]:
    for name in ("intents_nlu_eval", "intents_clinc150"):
        yield from (row["text"] for row in rows(folder / "cache" / f"{name}.jsonl.gz"))
    for path in sorted((folder / "compression").glob("*.jsonl.gz")):
        if path.name.startswith(("nq_litm", "hotpotqa")):
            for row in rows(path):
                yield row["question"]
                yield from {document["text"]: 0 for document in row["documents"]}


def main(folder: Path) -> None:
    seen: set[int] = set()
    counts: Counter[str] = Counter()
    for text in texts(folder):
        if hash(text) not in seen:
            seen.add(hash(text))
            counts.update({stem(word) for word in WORD.findall(text.lower())})
    bands: dict[str, list[str]] = {}
    for word, count in counts.most_common(N_STEMS):
        if count > 1 and word.isascii():
            bands.setdefault(str(round(2 * math.log2(len(seen) / count))), []).append(word)
    packed = {
        band: " ".join(sorted(words)) for band, words in sorted(bands.items(), key=lambda item: int(item[0]))
    }
    whole = {
        "version": 1,
        "texts": len(seen),
        "unit": "half a log2 of texts per text with the stem",
        "bands": packed,
    }
    OUT.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"{len(seen)} texts, {sum(map(len, bands.values()))} stems, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
