"""Serve the stand-in until interrupted: `python -m examples.provider --port 8000`."""

from __future__ import annotations

import argparse
import contextlib

from examples.provider import DEFAULT_READERS, LoopbackProvider, ReadingEngine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0 lets the system choose")
    arguments = parser.parse_args()
    provider = LoopbackProvider(ReadingEngine(), port=arguments.port, models=tuple(DEFAULT_READERS))
    print(f"a stand-in, not a model: {provider.openai_url} serves {', '.join(provider.models)}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        provider.serve_forever()
    provider.close()


if __name__ == "__main__":
    main()
