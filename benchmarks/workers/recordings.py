"""Recordings of several lengths, as mixtures are kept: one after the other, and where each ends."""

import numpy as np


def apart(samples, ends):
    """Each recording by itself."""
    return np.split(samples, ends[:-1])


def si_sdr(found, wanted):
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019, eq. 2)."""
    found, wanted = np.float64(found), np.float64(wanted)
    along = (found @ wanted) / (wanted @ wanted) * wanted
    return 10 * np.log10((along @ along) / np.square(found - along).sum())
