"""Dealings with files, settings, terminals and mistakes, which know nothing of models."""
