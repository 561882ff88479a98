"""Measurements beside named peers: `python -m benchmarks` lists them."""
