"""Differentially private training: single rows' gradients, clipped; noise; and the account of it."""
