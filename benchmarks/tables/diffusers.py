"""Autoencoders of diffusers and ours: what either makes of an image with the other's weights, at two sizes.

Needs a network, for diffusers in an environment of its own. Fails where an answer differs by more than 1e-4.
"""

import json
import math
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.environments import python
from benchmarks.store import Store
from benchmarks.work import ROOT, SINGLE, WORKERS
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.build import build
from vae_pipeline.models.diffusers.config import Config
from vae_pipeline.models.diffusers.weights import load_into, write
from vae_pipeline.models.spatial import SpatialVAE
from vae_pipeline.recipe.model import Model
from vae_pipeline.system.files import write_json
from vae_pipeline.system.typed_json import typed

PAGE = None
LISTING = ROOT / "tests" / "models" / "diffusers" / "saved.json"
SIDES = [[16, 16], [24, 40]]
NEAR = 1e-4
SHOWN = 8  # values of each answer that the listing keeps
CASES: dict[str, dict[str, Any]] = {
    "one level, grey": {
        "channels": [4], "blocks": 1, "attention": True, "images": 1, "latents": 2, "pointwise": True,
    },
    "two levels": {
        "channels": [4, 8], "blocks": 2, "attention": False, "images": 3, "latents": 4, "pointwise": False,
    },
    "three levels": {
        "channels": [8, 4, 8], "blocks": 1, "attention": True, "images": 3, "latents": 3, "pointwise": False,
    },
    "four levels": {
        "channels": [4, 8, 8, 12], "blocks": 2, "attention": True, "images": 3, "latents": 4, "pointwise": True,
    },
}  # fmt: skip
LARGE = {
    "that of Stable Diffusion": {
        "channels": [128, 256, 512, 512], "blocks": 2, "attention": True, "images": 3, "latents": 4, "pointwise": True,
    }
}  # fmt: skip


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--large", action="store_true", help="also at Stable Diffusion's size, 84 million weights")
    parser.add_argument("--listing", action="store_true", help=f"write {LISTING.name} anew, which the tests read")


def measure(given: Namespace, store: Store) -> None:
    cases = CASES | (LARGE if given.large else {})
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        saved = [(work / f"{at}", work / f"{at}.npz", config_of(case)) for at, case in enumerate(cases.values())]
        ask(work, [(one, answers, config) for one, answers, config in saved])
        made = []
        for at, (name, case) in enumerate(cases.items()):
            rows[name] = {"diffusers' weights here": furthest(loaded(saved[at][0], case), saved[at][1])}
            one, answers = work / f"{at}-ours", work / f"{at}-ours.npz"
            made.append((fresh(case, one), one, answers))
        ask(work, [(one, answers, None) for _, one, answers in made])
        for name, (net, _, answers) in zip(cases, made, strict=True):
            rows[name] |= {"ours in diffusers": furthest(net, answers), "said": told(answers)["said"]}
            print(f"{name}: {rows[name]}")
        if given.listing:
            write_json(LISTING, [listed(*each[:2]) for each in saved[: len(CASES)]])
    store.keep("exchange", rows)
    worst = max(value for row in rows.values() for value in row.values() if isinstance(value, float))
    print(f"largest difference {worst:.1e}, wanted at most {NEAR:g}")
    sys.exit(0 if worst <= NEAR and not any(row["said"] for row in rows.values()) else 1)


def config_of(case: dict[str, Any]) -> dict[str, Any]:
    """A case in diffusers' words."""
    levels = len(case["channels"])
    return {
        "in_channels": case["images"],
        "out_channels": case["images"],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "block_out_channels": case["channels"],
        "layers_per_block": case["blocks"],
        "latent_channels": case["latents"],
        "norm_num_groups": math.gcd(32, *case["channels"]),
        "use_quant_conv": case["pointwise"],
        "use_post_quant_conv": case["pointwise"],
        "mid_block_add_attention": case["attention"],
    }


def ask(work: Path, requests: list[Any]) -> None:
    """Have diffusers make or load each folder, and answer."""
    names = ("folder", "answers", "config")
    listed = [dict(zip(names, (str(one), str(answers), config), strict=True)) for one, answers, config in requests]
    (work / "requests.json").write_text(json.dumps([each | {"sides": SIDES} for each in listed]))
    program = [python("diffusers"), WORKERS / "diffusers_vae.py", work / "requests.json"]
    subprocess.run(program, check=True, env={**SINGLE, "HF_HUB_OFFLINE": "1"})


def loaded(folder: Path, case: dict[str, Any]) -> SpatialVAE:
    """Our net with the weights of a folder that diffusers wrote."""
    net, model, spec = built(Config.load(folder), case, "learned")
    load_into(net, model, spec, folder)
    return net


def fresh(case: dict[str, Any], folder: Path) -> SpatialVAE:
    """A net of ours, whose decoder also gives scales, with weights of its own, written to a folder."""
    net, model, spec = built(typed(Config, config_of(case)), case, "per_element")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape))
    folder.mkdir()
    write(folder, net, model, spec, 0.5)
    return net


def built(config: Config, case: dict[str, Any], scale: str) -> tuple[SpatialVAE, Model, ImageSpec]:
    """A net of ours of that structure, with the sections that it was built of."""
    model = Model.model_validate({
        **config.sections(),
        "prior": {"kind": "standard_normal"},
        "likelihood": {"kind": "gaussian", "scale": scale, "mean": "linear"},
        "conditional": False,
    })  # fmt: skip
    spec = ImageSpec((case["images"], *SIDES[0]), "float32", 0.0, 255.0, False)
    torch.manual_seed(0)
    net = build(model, spec).eval()
    assert isinstance(net, SpatialVAE)
    return net, model, spec


def furthest(net: SpatialVAE, answers: Path) -> float:
    """The largest difference of ours from the answers, on diffusers' scale from -1 to 1."""
    found = []
    with np.load(answers) as wanted, torch.inference_mode():
        for height, width in SIDES:
            of = {name: wanted[f"{name} {height} {width}"] for name in ("x", "mean", "log_variance", "z", "image")}
            raw = 127.5 * (torch.from_numpy(of["x"]) + 1)
            mean, log_variance = net.encode_map(raw)
            image = 2 * net.decode_map(torch.from_numpy(of["z"])).mean - 1
            found += [mean.numpy() - of["mean"], log_variance.numpy() - of["log_variance"], image.numpy() - of["image"]]
    return max(float(np.abs(each).max()) for each in found)


def told(answers: Path) -> dict[str, Any]:
    """The notes that diffusers made of a folder."""
    found: dict[str, Any] = json.loads(answers.with_suffix(".json").read_text())
    return found


def listed(folder: Path, answers: Path) -> dict[str, Any]:
    """A folder as the tests keep it: config.json, names and shapes, some values of each answer."""
    with np.load(answers) as found:
        some = {
            name: " ".join(f"{value:.6g}" for value in few(found[name]))
            for name in found
            if name[:2] not in ("x ", "z ")
        }
    config = json.loads((folder / "config.json").read_text())
    shapes = {name: " ".join(map(str, shape)) for name, shape in told(answers)["shapes"].items()}
    return {"config": config, "shapes": shapes, "answers": some}


def few(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Some of the values, evenly spaced."""
    return values.ravel()[np.linspace(0, values.size - 1, SHOWN).astype(int)]
