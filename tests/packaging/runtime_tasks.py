"""A program that uses bundles where numpy and onnxruntime alone are installed; it writes its answers to an .npz.

runtime_tasks.py ANSWERS IMAGES IMAGE_ROWS TABLE TABLE_ROWS [TEXT]
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np

from vae_pipeline.runtime import Bundle

assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
answers, images, image_rows, table, table_rows, *text = map(Path, sys.argv[1:])
for name in ("torch", "pandas", "pydantic", "scipy", "PIL", "typer"):
    assert importlib.util.find_spec(name) is None, name

found = {}
pictures, rows = Bundle.load(images), Bundle.load(table)
x, records = np.load(image_rows), json.loads(table_rows.read_text())
for kind, bundle, given in (("image", pictures, x), ("table", rows, records)):
    found |= {
        f"{kind}_encode": bundle.encode(given).mean,
        f"{kind}_reconstruct": bundle.reconstruct(given),
        f"{kind}_score": bundle.score(given).negative_elbo,
        f"{kind}_sample": bundle.sample(3, seed=1),
        f"{kind}_detect": bundle.detect(given).p_value,
    }
found["image_interpolate"] = pictures.interpolate(x[0], x[1], 4)
if text:
    writer = Bundle.load(text[0]).sentences
    lines = writer.sample(4, seed=1)
    found |= {"text_sample": np.array(lines), "text_score": writer.score(lines).negative_elbo}
np.savez(answers, **found)
