"""What dropping words by rule saves, and how many answers it breaks.

Method: each rule of `shrink_text` alone on all documents of NQ with 20 documents a question. Tokens are
o200k's; an answer is kept where its letters still stand in the gold document; negations are counted before
and after. There is no chance in it, and no competitor: the rules are the usual ones.
Run: python benchmarks/text_shrinking.py --data DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path

from tokenomics_core.compression.shrinking import RULES, shrink_text

NEGATION = re.compile(r"\b(?:not|no|never|none|nor|neither|without)\b|n't\b")


def main() -> None:
    """Print a row per rule."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="the folder that holds compression/nq_litm_pool_20docs.jsonl.gz"
    )
    path = (parser.parse_args().data or Path()) / "compression" / "nq_litm_pool_20docs.jsonl.gz"
    if not path.is_file():
        print(f"skipped: there is no {path}; give --data DIR")
        return
    print(__doc__)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for rule in RULES:
        before = after = asked = kept = negations = still = 0
        for row in rows:
            for document in row["documents"]:
                text = document["text"]
                shrunk = shrink_text(text, [rule], model="gpt-4o")
                before, after = before + shrunk.tokens_before, after + shrunk.tokens_after
                negations += len(NEGATION.findall(text))
                still += len(NEGATION.findall(shrunk.text))
                if document["is_gold"] and (found := [each for each in row["answers"] if each in text]):
                    asked, kept = asked + 1, kept + (found[0] in shrunk.text)
        print(
            f"{rule:<12} tokens left {after / before:6.1%}   answers kept {kept / asked:6.1%} of {asked}   "
            f"negations kept {still / negations:6.1%}"
        )


if __name__ == "__main__":
    main()
