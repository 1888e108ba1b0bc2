"""A generated homepage beside what people would pick instead: `uv run benchmarks/run.py`."""
