"""Exchange with diffusers, held against what its AutoencoderKL.save_pretrained wrote and answered (saved.json).

`python -m benchmarks diffusers --listing` writes that file, and asks diffusers itself about what we write.
"""

import json
import pickle
from zlib import crc32

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.lanes import ROOT

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.build import build
from vae_pipeline.models.diffusers.config import Config
from vae_pipeline.models.diffusers.names import renewed, theirs
from vae_pipeline.models.diffusers.weights import WEIGHTS, digest, load_into, write
from vae_pipeline.recipe.model import Ladder, Model
from vae_pipeline.system.errors import ExportError, WeightsError

SAVED = json.loads((ROOT / "tests" / "models" / "diffusers" / "saved.json").read_text())
GREY, SMALL = SAVED[0], SAVED[1]


def wave(name, shape):
    """As the worker of the benchmark."""
    count = int(np.prod(shape))
    return torch.from_numpy(np.sin(1.7 * np.arange(count) + crc32(name.encode()) % 1000).astype("float32")).view(shape)


def weights(saved):
    tensors = {}
    for name, sides in saved["shapes"].items():
        shape = [int(side) for side in sides.split()]
        size = 1.5 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.3
        tensors[name] = size * wave(name, shape) + (len(shape) == 1 and name.endswith("weight"))
    return tensors


def folder_of(saved, folder, change=lambda tensors: tensors, **config):
    """The folder that diffusers saved, with some of it changed."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(saved["config"] | config))
    save_file(change(weights(saved)), folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def model_of(saved, likelihood=None, **changes):
    """The recipe's section that a folder's structure asks for, with some keys changed: posterior__channels=3."""
    (config := dict(saved["config"])).pop("_class_name")
    known = {name: tuple(v) if isinstance(v, list) else v for name, v in config.items() if name in Config().__dict__}
    sections = Config(**known).sections()
    for place, value in changes.items():
        section, _, name = place.partition("__")
        sections[section][name] = value
    return Model.model_validate({
        **sections,
        "prior": {"kind": "standard_normal"},
        "likelihood": likelihood or {"kind": "gaussian", "scale": "learned", "mean": "linear"},
        "conditional": False,
    })  # fmt: skip


def spec_of(saved, side=16):
    return ImageSpec((saved["config"]["in_channels"], side, side), "uint8", 0, 255, False, ("a", "b"))


def built(saved, **changes):
    model, spec = model_of(saved, **changes), spec_of(saved)
    torch.manual_seed(0)
    return build(model, spec).eval(), model, spec


def values_of(net, saved, sides):
    """What a net makes of the file's picture and latents, in diffusers' range: as few numbers of each."""
    height, width = map(int, sides.split())
    x = wave("image", (1, saved["config"]["in_channels"], height, width))
    with torch.inference_mode():
        mean, log_variance = net.encode_map(127.5 * (x + 1))
        image = 2 * net.decode_map(wave("latents", mean.shape)).mean - 1
    found = {"mean": mean, "log_variance": log_variance, "image": image}
    return {name: v.flatten()[np.linspace(0, v.numel() - 1, 8).astype(int)].numpy() for name, v in found.items()}


@pytest.mark.parametrize("saved", SAVED, ids=lambda saved: f"{len(saved['config']['block_out_channels'])} levels")
def test_what_diffusers_saved_answers_here_as_there(saved, tmp_path):
    net, model, spec = built(saved)
    load_into(net, model, spec, folder_of(saved, tmp_path / "vae"))
    for sides in ("16 16", "24 40"):
        for name, found in values_of(net, saved, sides).items():
            wanted = np.array(saved["answers"][f"{name} {sides}"].split(), float)
            np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("saved", SAVED, ids=lambda saved: f"{len(saved['config']['block_out_channels'])} levels")
def test_what_is_written_has_the_names_and_shapes_of_diffusers(saved, tmp_path):
    net, model, spec = built(saved)
    write(tmp_path, net, model, spec, 0.5)
    found = {name: " ".join(map(str, values.shape)) for name, values in load_file(tmp_path / WEIGHTS).items()}
    latents = saved["config"]["latent_channels"]
    always = {"quant_conv": 2 * latents, "post_quant_conv": latents}
    pointwise = {f"{name}.weight": f"{n} {n} 1 1" for name, n in always.items()}
    pointwise |= {f"{name}.bias": f"{n}" for name, n in always.items()}
    assert found == saved["shapes"] | pointwise
    config = json.loads((tmp_path / "config.json").read_text())
    unsaid = {"force_upcast", "latents_mean", "latents_std", "shift_factor"}  # at diffusers' defaults
    rest = {name: v for name, v in saved["config"].items() if not name.startswith("use_") and name not in unsaid}
    if rest["mid_block_add_attention"]:
        del rest["mid_block_add_attention"]
    assert config == rest | {"sample_size": 16, "scaling_factor": 0.5}


@pytest.mark.parametrize("pointwise", [False, True])
def test_what_is_written_loads_again(pointwise, tmp_path):
    net, model, spec = built(SMALL, posterior__pointwise=pointwise)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    write(tmp_path, net, model, spec, 0.5)
    again = build(model, spec)
    load_into(again, model, spec, tmp_path)
    for name, values in net.state_dict().items():
        if not name.startswith("likelihood."):
            torch.testing.assert_close(again.state_dict()[name], values, rtol=1e-6, atol=1e-6)


def test_a_scale_that_the_decoder_gives_is_left_out_and_stays(tmp_path):
    net, model, spec = built(SMALL, likelihood={"kind": "laplace", "scale": "per_element", "mean": "linear"})
    write(tmp_path, net, model, spec, 0.5)
    last = load_file(tmp_path / WEIGHTS)["decoder.conv_out.weight"]
    torch.testing.assert_close(last, 2 * net.decoder.output[2].weight[:3].detach().contiguous())
    before = net.decoder.output[2].weight.detach().clone()
    load_into(net, model, spec, folder_of(SMALL, tmp_path / "vae"))
    assert torch.equal(net.decoder.output[2].weight[3:], before[3:])
    assert not torch.equal(net.decoder.output[2].weight[:3], before[:3])


def test_names_of_before_and_half_precision_are_read(tmp_path):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def aged(tensors):
        for new, name in old.items():
            tensors = {each.replace(f".{new}.", f".{name}."): values.half() for each, values in tensors.items()}
        return tensors

    net, model, spec = built(GREY)
    load_into(net, model, spec, folder_of(GREY, tmp_path / "old", aged))
    found = values_of(net, GREY, "16 16")["mean"]
    wanted = np.array(GREY["answers"]["mean 16 16"].split(), float)
    np.testing.assert_allclose(found, wanted, atol=0.02)  # float16 keeps three digits
    assert renewed("encoder.down_blocks.0.key.weight") == "encoder.down_blocks.0.key.weight"


def test_no_weight_of_ours_has_a_name_there_by_chance():
    assert [theirs(name) for name in ("likelihood.log_scale", "latent_prior.means", "sampler.mean")] == [None] * 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder__channels": [4, 4]}, "model.encoder.channels is [4, 4], and"),
        ({"encoder__blocks": 3}, "model.encoder.blocks is 3, and"),
        ({"decoder__normalisation": "local"}, "model.decoder.normalisation is local, and"),
        ({"posterior__channels": 5}, "model.posterior.channels is 5, and"),
        ({"encoder__attention": True}, "model.encoder.attention is True, and"),
        ({"likelihood": {"kind": "bernoulli"}}, "set model.likelihood to gaussian"),
    ],
)
def test_the_first_difference_is_named_with_the_section_that_fits(changes, said, tmp_path):
    net, model, spec = built(SMALL, **changes)
    with pytest.raises(WeightsError) as raised:
        load_into(net, model, spec, folder_of(SMALL, tmp_path / "vae"))
    assert said in str(raised.value)
    if "likelihood" not in changes:
        assert "encoder: {kind: residual, channels: [4, 8], blocks: 2" in str(raised.value)


def test_images_of_other_channels_and_models_with_labels_are_refused(tmp_path):
    folder = folder_of(SMALL, tmp_path / "vae")
    net, model, _ = built(SMALL)
    with pytest.raises(WeightsError, match="of images of 3 channels"):
        load_into(net, model, spec_of(GREY), folder)
    with pytest.raises(WeightsError, match="conditional: false"):
        load_into(net, model.model_copy(update={"conditional": True}), spec_of(SMALL), folder)


def without(name):
    return lambda tensors: {each: values for each, values in tensors.items() if each != name}


def with_nan(tensors):
    tensors["decoder.conv_in.bias"][0] = float("nan")
    return tensors


@pytest.mark.parametrize(
    ("config", "change", "said"),
    [
        ({"_class_name": "VQModel"}, dict, "_class_name is 'VQModel'"),
        ({"act_fn": "gelu"}, dict, "act_fn is 'gelu'"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"] * 2}, dict, "down_block_types is"),
        ({"norm_num_groups": 2}, dict, "norm_num_groups is 2"),
        ({"out_channels": 1}, dict, "in_channels is 3 and out_channels 1"),
        ({"layers_per_block": "two"}, dict, "layers_per_block is 'two'"),
        ({}, without("encoder.conv_in.bias"), "encoder.conv_in.bias is missing"),
        ({}, lambda tensors: tensors | {"extra": torch.ones(1)}, "extra is (1,), wanted none"),
        ({}, lambda tensors: {name: values.int() for name, values in tensors.items()}, "is of torch.int32"),
        ({}, with_nan, "NaN or infinity in decoder.conv_in.bias"),
        ({}, lambda t: t | {"quant_conv.weight": torch.ones(8, 8, 1, 1), "quant_conv.bias": torch.ones(8)},
         "model.posterior.pointwise: true"),
    ],
)  # fmt: skip
def test_a_folder_that_is_none_is_refused_in_a_line(config, change, said, tmp_path):
    net, model, spec = built(SMALL)
    with pytest.raises(WeightsError) as raised:
        load_into(net, model, spec, folder_of(SMALL, tmp_path / "vae", change, **config))
    assert said in str(raised.value) and "\n" not in str(raised.value)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("diffusion_pytorch_model.bin", "pickles are never opened"),
        (f"{WEIGHTS}.index.json", "several files"),
        ("other.txt", "isn't there"),
    ],
)
def test_pickles_and_pieces_are_not_opened(there, said, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMALL["config"]))
    (tmp_path / there).write_bytes(pickle.dumps(Trap()))
    net, model, spec = built(SMALL)
    for ask in (lambda: load_into(net, model, spec, tmp_path), lambda: digest(tmp_path)):
        with pytest.raises(WeightsError, match=said):
            ask()


def test_a_folder_without_a_config_is_refused_and_one_of_a_pipeline_names_the_inner_one(tmp_path):
    with pytest.raises(WeightsError, match="json isn't there: name a folder that AutoencoderKL"):
        Config.load(tmp_path)
    folder_of(SMALL, tmp_path / "vae")
    with pytest.raises(WeightsError, match=f"name {tmp_path}/vae"):
        Config.load(tmp_path)


LADDER = Ladder.model_validate({
    "kind": "ladder", "levels": [{"channels": 8, "latents": 2, "blocks": 1, "stride": 2}], "activation": "silu",
    "likelihood": {"kind": "gaussian", "scale": "learned", "mean": "linear"}, "conditional": False,
})  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder__normalisation": "local"}, "group normalisation alone, and model.encoder.normalisation is local"),
        ({"decoder__activation": "gelu"}, "model.decoder.activation is gelu"),
        ({"decoder__channels": [8, 8]}, "one list of channels"),
        ({"decoder__blocks": 1}, "one setting of blocks"),
        ({"encoder__attention": True}, "one setting of attention"),
        ({"likelihood": {"kind": "bernoulli"}}, "model.likelihood is bernoulli"),
        ({"likelihood": {"kind": "gaussian", "scale": 1.0, "mean": "sigmoid"}}, "gaussian with mean sigmoid"),
        ({"posterior": {"kind": "gaussian", "latents": 3}}, "model.posterior.kind is gaussian"),
    ],
)
def test_what_diffusers_lacks_is_said(changes, said):
    posterior = changes.pop("posterior", None)
    model = model_of(SMALL, **changes)
    if posterior is not None:
        model = Model.model_validate(model.model_dump(mode="json") | {"posterior": posterior})
    with pytest.raises(ExportError, match="AutoencoderKL of diffusers has") as raised:
        Config.of(model, spec_of(SMALL))
    assert said in str(raised.value)


def test_ladders_labels_and_sides_that_do_not_fit_are_said():
    model = model_of(SMALL)
    with pytest.raises(ExportError, match="no model of kind ladder"):
        Config.of(LADDER, spec_of(SMALL))
    with pytest.raises(ExportError, match="conditional: false"):
        Config.of(model.model_copy(update={"conditional": True}), spec_of(SMALL))
    with pytest.raises(ExportError, match="doesn't divide images of 15 x 15"):
        Config.of(model, spec_of(SMALL, 15))
