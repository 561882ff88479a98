"""Augmentation: the study of whether it helps a classifier."""
