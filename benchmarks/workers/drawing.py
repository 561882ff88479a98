"""Seconds for 10,000 new images from a bundle, five times: python drawing.py BUNDLE."""

import json
import sys
import time

from vae_pipeline.runtime import Bundle

bundle = Bundle.load(sys.argv[1])
bundle.sample(10)
took = []
for seed in range(5):
    began = time.perf_counter()
    bundle.sample(10_000, seed=seed)
    took.append(time.perf_counter() - began)
print(json.dumps(took))
