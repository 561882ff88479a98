"""A synthesiser of tables: python synthesisers.py NAME INPUT OUTPUT SEED ROWS CLASSES...

INPUT and OUTPUT are .csv files; CLASSES are the columns of INPUT that hold classes. Each synthesiser is as its package
ships it.
"""

import sys

import numpy as np
import pandas as pd


def tvae(frame, classes, rows, seed):
    import torch
    from ctgan import TVAE

    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    made = TVAE(enable_gpu=False)
    made.fit(frame, classes)
    return made.sample(rows)


def arf(frame, _, rows, seed):
    from arfpy import arf as forests

    np.random.seed(seed)
    np.in1d = np.isin  # numpy has the latter alone since 2.4
    made = forests.arf(x=frame, random_state=seed, verbose=False)
    made.forde()
    return made.forge(n=rows)


def main():
    name, rows, out, seed, count, *classes = sys.argv[1:]
    frame = pd.read_csv(rows, keep_default_na=False, dtype=dict.fromkeys(classes, str))
    {"TVAE": tvae, "ARF": arf}[name](frame, classes, int(count), int(seed)).to_csv(out, index=False)


main()
