"""Smaller variants of an exported bundle, each with its measured cost."""
