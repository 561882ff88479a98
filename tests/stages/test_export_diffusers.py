"""A model from `train` to a folder for diffusers, and from there to a run that goes on with it."""

import json

import pytest
import torch
import yaml
from tests.lanes import edited, make_job
from tests.training.test_start import MODEL
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.models.diffusers.weights import load_into
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export_diffusers import export_diffusers
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import ExportError
from vae_pipeline.training.trained import Trained

WANTED = {"config.json", "diffusion_pytorch_model.safetensors", "README.md", "vae_pipeline.json"}


def test_a_model_that_diffusers_has_none_of_leaves_the_folder_as_it_was(smoke, lane, tmp_path):
    job = make_job("smoke", smoke, tmp_path / "home")
    with pytest.raises(ExportError, match=r"model\.posterior\.kind is gaussian: take spatial_gaussian"):
        export_diffusers(job, lane.data, lane.model, lane.report, tmp_path / "vae")
    assert not (tmp_path / "vae").exists()


@pytest.mark.slow
def test_what_is_exported_is_the_model_and_is_gone_on_with(smoke, lane, tmp_path):
    recipe = edited(smoke, model=MODEL, train={"epochs": 2})
    job, data = make_job("tiny", recipe, tmp_path / "home"), lane.data
    model, report, out = (tmp_path / name for name in ("model", "report", "vae"))
    train(job, data, model)
    evaluate(job, data, model, report)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    words = ["export", tmp_path / "tiny.yaml", "--data", data, "--model", model, "--report", report, "--out", out]
    for _ in range(2):  # what it wrote itself it replaces
        result = CliRunner().invoke(app, [*map(str, words), "--layout", "diffusers"], catch_exceptions=False)
        assert result.exit_code == 0 and "scaling factor" in result.output
    assert {path.name for path in out.iterdir()} == WANTED

    prepared, trained = Prepared.open(data), Trained.load(model)
    again = build(recipe.model, prepared.spec).eval()
    load_into(again, recipe.model, prepared.spec, out)
    x = torch.from_numpy(prepared.train.x[:])
    with torch.no_grad():
        wanted, found = trained.model.eval().encode(x), again.encode(x)
        torch.testing.assert_close(found.mean, wanted.mean)
        torch.testing.assert_close(again.decode(found.mean).mean, trained.model.decode(found.mean).mean)
        scale = json.loads((out / "config.json").read_text())["scaling_factor"]
        torch.manual_seed(0)
        assert float((scale * found.rsample()).std()) == pytest.approx(1, abs=0.02)
    assert json.loads((out / "vae_pipeline.json").read_text())["weights_sha256"] == trained.weights_sha256
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and "bundle.json" not in card

    start = {"kind": "diffusers", "folder": str(out), "part": "decoder"}
    on = make_job("on", edited(recipe, train={"start": start, "epochs": 1}), tmp_path / "home")
    train(on, data, tmp_path / "on")
    fixed = Trained.load(tmp_path / "on").model.state_dict()
    for name, values in trained.model.state_dict().items():
        if name.startswith(("encoder.", "posterior.")):
            assert torch.equal(fixed[name], values), name
