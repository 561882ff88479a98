"""What a page is made of, without a model."""

import io

import pytest
from PIL import Image

from vae_pipeline.evaluation.report.findings import Findings
from vae_pipeline.kinds.spec import ImageSpec


def png(width, height):
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


METRICS = {
    "elbo": 31.60343711213632,
    "elbo_standard_error": 1.0935098638161396,
    "distortion": -48.16515031998808,
    "rate": 16.561713207851756,
    "measure": "density",
    "scale": 0.09871160984039307,
    "importance_bound": 35.90328470569207,
    "importance_bound_standard_error": 0.9809703093162347,
    "importance_samples": 500,
    "importance_examples": 352,
    "active_units": 2,
    "latents": 3,
    "mse": 0.010781061576521516,
    "psnr": 20.288913137805846,
    "ssim": 0.9475707249238942,
    "test_examples": 352,
    "rate_per_dimension": {"0": 2.0, "1": 14.0, "2": 0.001},
}


@pytest.fixture
def findings():
    row = {f"{part}_{name}": 1.0 for part in ("train", "valid") for name in ("elbo", "distortion", "rate")}
    return Findings(
        name="digits",
        recipe={
            "about": "Handwritten digits.", "model": {"conditional": False}, "sampler": "prior", "seed": 0,
            "evaluate": {"gates": {}}, "train": {"epochs": 3, "steps": None},
        },
        seed=0,
        spec=ImageSpec((1, 8, 6), "uint8", 0, 16, False, ("zero", "one")),
        card={
            "examples": {"train": 1294, "valid": 181, "test": 352},
            "duplicates": {"within_train": 0, "valid_in_train": 0, "test_in_train": 0},
            "dropped": {},
            "origins": {"digits.npz": "sha256:" + "0" * 64},
        },
        metrics=METRICS,
        breaches={},
        waived={},
        history=[{"epoch": float(epoch), **row} for epoch in range(1, 4)],
        kept_epoch=2,
        active=[True, True, False],
        pictures={"samples.png": png(30, 20), "reconstructions.png": png(30, 20)},
        digests={"weights": "sha256:" + "1" * 64},
        versions={"vae-pipeline": "1.0", "torch": "2.0"},
    )  # fmt: skip
