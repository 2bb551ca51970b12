"""The parts of `examples/stdlib_rag.py`."""
