"""SI-SDR, STOI and PESQ of denoised mixtures: python judge_sound.py MIXTURES.npz FOUND.npy.

One line of JSON, a value a mixture: SI-SDR and what it gained, in dB; STOI; and the mean opinion score of narrow-band
PESQ (ITU-T P.862.1). STOI needs 30 frames of speech, PESQ an utterance: null where there is none.
"""

import json
import sys
import warnings

import numpy as np
from pesq import BufferTooShortError, NoUtterancesError, pesq
from pystoi import stoi
from recordings import apart, si_sdr

RATE_HZ = 8_000


def opinion(found, wanted):
    try:
        return pesq(RATE_HZ, wanted, found, "nb")
    except (BufferTooShortError, NoUtterancesError):
        return None


def intelligibility(found, wanted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of too few frames
        try:
            return float(stoi(wanted, found, RATE_HZ))
        except RuntimeWarning:
            return None


def main():
    mixtures, found = np.load(sys.argv[1]), np.load(sys.argv[2])
    told = {figure: [] for figure in ("si_sdr", "gain", "stoi", "pesq")}
    samples = (found, mixtures["clean"], mixtures["noisy"])
    for x, wanted, noisy in zip(*(apart(each, mixtures["ends"]) for each in samples), strict=True):
        told["si_sdr"].append(si_sdr(x, wanted))
        told["gain"].append(si_sdr(x, wanted) - si_sdr(noisy, wanted))
        told["stoi"].append(intelligibility(x, wanted))
        told["pesq"].append(opinion(x, wanted))
    print(json.dumps(told))


main()
