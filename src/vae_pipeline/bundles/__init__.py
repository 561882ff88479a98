"""Bundles: a trained model's graphs, and the runtimes, pages, servers and variants that use them."""
