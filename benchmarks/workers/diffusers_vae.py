"""Autoencoders of diffusers: python diffusers_vae.py REQUESTS.json, a list of {folder, sides, answers, config}.

With a config an AutoencoderKL of it is made, with weights that follow from their names, and saved to the folder; where
config is null it is loaded from there. Either way `answers`, a .npz, gets what it makes of images of these sides, and
of latents.
"""

import json
import logging
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.utils import logging as told

said: list[str] = []


class _Kept(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        said.append(record.getMessage())


def wave(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers between -1 and 1 that follow from a name and a shape; tests/models/diffusers makes the same."""
    count = int(np.prod(shape))
    return torch.from_numpy(np.sin(1.7 * np.arange(count) + crc32(name.encode()) % 1000).astype("float32")).view(shape)


def waved(net: AutoencoderKL) -> None:
    with torch.no_grad():
        for name, values in net.state_dict().items():
            size = 1.5 / values[0].numel() ** 0.5 if values.ndim > 1 else 0.3
            values.copy_(size * wave(name, values.shape) + (values.ndim == 1 and name.endswith("weight")))


def answers(net: AutoencoderKL, sides: list[list[int]]) -> dict[str, np.ndarray]:
    """The net's latents of an image of each size, and its image of latents that follow from their name."""
    found = {}
    for height, width in sides:
        x = wave("image", (1, net.config.in_channels, height, width))
        with torch.inference_mode():
            q = net.encode(x).latent_dist
            z = wave("latents", q.mean.shape)
            image = net.decode(z).sample
        for name, values in (("x", x), ("mean", q.mean), ("log_variance", q.logvar), ("z", z), ("image", image)):
            found[f"{name} {height} {width}"] = values.numpy()
    return found


told.get_logger("diffusers").addHandler(_Kept())
for request in json.loads(Path(sys.argv[1]).read_text()):
    said.clear()
    if request["config"]:
        net = AutoencoderKL(**request["config"]).eval()
        waved(net)
        net.save_pretrained(request["folder"])
    else:
        net = AutoencoderKL.from_pretrained(request["folder"]).eval()
    shapes = {name: list(values.shape) for name, values in net.state_dict().items()}
    Path(request["answers"]).with_suffix(".json").write_text(json.dumps({"shapes": shapes, "said": said}))
    np.savez(request["answers"], **answers(net, request["sides"]))
