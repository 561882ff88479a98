"""Reconstruct the first row of an .npy by a server of the Open Inference Protocol (v2). Needs numpy.

python examples/client.py http://127.0.0.1:8080 digits data/prepared/digits/test.npy
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

DATATYPES = {"uint8": "UINT8", "int64": "INT64", "float32": "FP32"}
SHADES = " .:-=+*#%@"


def infer(server, model, **inputs):
    """The outputs of a model by name, as arrays."""
    tensors = [
        {"name": name, "datatype": DATATYPES[str(x.dtype)], "shape": x.shape, "data": x.ravel().tolist()}
        for name, x in inputs.items()
    ]
    body = json.dumps({"inputs": tensors}).encode()
    request = Request(f"{server}/v2/models/{model}/infer", body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        outputs = json.load(answer)["outputs"]
    return {output["name"]: np.reshape(output["data"], output["shape"]) for output in outputs}


def main(server, recipe, file):
    """Print the row, its reconstruction beside it, and how far they are from each other."""
    x = np.load(file, mmap_mode="r")[:1]
    try:
        x_mean = infer(server, f"{recipe}_reconstruct", x=x)["x_mean"]
    except HTTPError as error:
        sys.exit(f"{error.code}: {error.read().decode()}")
    low = float(x.min())
    high = max(float(x.max()), low + 1)
    for row in np.concatenate([x[0, 0], x_mean[0, 0]], axis=1):
        print("".join(2 * SHADES[int(shade)] for shade in np.clip((row - low) / (high - low), 0, 1) * 9))
    print(f"root mean squared error {np.sqrt(np.mean((x - x_mean) ** 2)):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
