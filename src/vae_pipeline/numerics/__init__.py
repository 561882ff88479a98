"""Numerics: noise, the optimiser, kernels and the device."""
