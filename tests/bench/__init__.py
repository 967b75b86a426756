"""Measures what the function costs, as ratios within one run: `python -m tests.bench` (or `make bench`)."""
