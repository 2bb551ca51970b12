"""What every example needs: a provider to ask, the stand-in on loopback unless another is named."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from examples.provider import LoopbackProvider
from examples.provider.reading import ReadingEngine

__all__ = ["API_KEY", "open_provider", "parse_arguments"]

API_KEY = os.environ.get("OPENAI_API_KEY", "unused")


def parse_arguments(description: str | None, *, serve: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base-url", help="an OpenAI-compatible provider; the stand-in where none is named")
    parser.add_argument("--model", default="gpt-4.1-nano", help="the stand-in only borrows the name")
    parser.add_argument("--strong-model", default="gpt-4.1-mini")
    if serve:
        parser.add_argument("--serve", type=int, metavar="PORT", help="serve instead of asking itself")
    return parser.parse_args()


@contextmanager
def open_provider(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the address to ask."""
    if arguments.base_url:
        yield arguments.base_url
        return
    with LoopbackProvider(ReadingEngine()) as provider:
        yield provider.openai_url
