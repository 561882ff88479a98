"""A stage's folder that a program, a crash or a curious hand altered gets one clear line, no traceback."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.lanes import make_job

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.summary import print_summary
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import DataError, VaeError, WeightsError
from vae_pipeline.system.seal import seal
from vae_pipeline.training.trained import Trained

GARBAGE = [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'"abc"', b"[" * 100_000]


@pytest.fixture
def data(lane, tmp_path):
    return shutil.copytree(lane.data, tmp_path / "data")


@pytest.fixture
def model(lane, tmp_path):
    return shutil.copytree(lane.model, tmp_path / "model")


@pytest.fixture
def job(smoke, tmp_path):
    return make_job("smoke", smoke, tmp_path / "home")


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("name", ["spec.json", "card.json", "train.npy", "valid_labels.npy"])
def test_prepared(name, content, data, job, tmp_path):
    (data / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}.*prepare"):
        train(job, data, tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [{"low": "x"}, {"high": None}, {"low": 255}, {"shape": [1, 12]}, {"dtype": "zz"}, {"binary": 5}, {"kind": "table"},
     {"classes": [1, 2]}, {"extra": 1}],
)  # fmt: skip
def test_a_spec_of_wrong_values(change, data):
    values = json.loads((data / "spec.json").read_text())
    (data / "spec.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(DataError):
        Prepared.open(data)


@pytest.mark.parametrize(
    "labels",
    [np.full(438, -1), np.full(438, 9), np.zeros(438), np.zeros((438, 1), np.int64), np.array(3), np.zeros(5, int)],
)
def test_labels_that_do_not_fit(labels, data):
    np.save(data / "train_labels.npy", labels)
    with pytest.raises(DataError, match=r"one label of 0\.\.1 for each of 438 examples"):
        Prepared.open(data)


def test_an_array_of_no_examples(data):
    np.save(data / "test.npy", np.zeros((0, 1, 12, 12), np.uint8))
    np.save(data / "test_labels.npy", np.zeros(0, np.int64))
    with pytest.raises(DataError, match=r"test\.npy holds no examples"):
        Prepared.open(data)


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("name", ["recipe.yaml", "spec.json", "history.csv", "alarms.json", "weights.safetensors"])
def test_trained(name, content, model):
    (model / name).write_bytes(content)
    with pytest.raises(VaeError, match=name):
        Trained.load(model)


@pytest.mark.parametrize(
    "metadata", ["garbage", "[]", "5", "{}", '{"format": "x"}', '{"format": null}', '{"format": 99}']
)
def test_metadata_of_the_weights(metadata, model):
    path = model / "weights.safetensors"
    save_file(load_file(path), path, metadata={"vae_pipeline": metadata})
    seal(model)  # what lies behind the digests is looked at
    with pytest.raises(WeightsError):
        Trained.load(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value, model):
    path = model / "weights.safetensors"
    tensors = load_file(path)
    tensors["decoder.output.bias"][3] = value
    save_file(tensors, path, metadata={"vae_pipeline": '{"format": 1}'})
    seal(model)  # what lies behind the digests is looked at
    with pytest.raises(WeightsError, match=r"NaN or infinity in decoder\.output\.bias"):
        Trained.load(model)


def test_weights_of_another_type(model):
    path = model / "weights.safetensors"
    tensors = {name: tensor.to(torch.complex64) for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"vae_pipeline": '{"format": 1}'})
    seal(model)  # what lies behind the digests is looked at
    with pytest.raises(WeightsError, match="complex64"):
        Trained.load(model)


def test_a_history_without_figures(model):
    lines = (model / "history.csv").read_text().splitlines()
    header, *rows = lines
    (model / "history.csv").write_text("\n".join([header, *("1,,,,,,,,,,,,1.0" for _ in rows)]))
    seal(model)  # what lies behind the digests is looked at
    with pytest.raises(DataError, match="lacks figures"):
        Trained.load(model)


@pytest.mark.parametrize("content", GARBAGE)
def test_a_report(content, lane, job, tmp_path):
    report = shutil.copytree(lane.report, tmp_path / "reports" / "smoke")
    (report / "metrics.json").write_bytes(content)
    with pytest.raises(DataError, match=r"metrics\.json isn't what `vae-pipeline eval` wrote"):
        export(job, lane.data, lane.model, report, tmp_path / "out")
    with pytest.raises(DataError, match=r"metrics\.json isn't what `vae-pipeline eval` wrote"):
        print_summary(job.console, tmp_path / "reports", tmp_path)


def test_a_report_without_its_page(lane, job, tmp_path):
    report = shutil.copytree(lane.report, tmp_path / "report")
    (report / "index.html").unlink()
    with pytest.raises(DataError, match=r"index\.html isn't there: run `vae-pipeline eval` again"):
        export(job, lane.data, lane.model, report, tmp_path / "out")


def test_a_report_of_other_weights(lane, conditional_lane, job, tmp_path):
    with pytest.raises(
        DataError, match=r"index\.html isn't the report of these weights, \w{12}: run `vae-pipeline eval`"
    ):
        export(job, lane.data, lane.model, conditional_lane.report, tmp_path / "out")


def flip(path):
    """One bit of a byte near the end."""
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "test_labels.npy", "spec.json", "card.json"])
def test_a_flipped_bit_of_prepared_data(name, data):
    if name.endswith(".json"):  # other JSON that is as valid
        (data / name).write_text((data / name).read_text().replace("  ", " "))
    else:
        flip(data / name)
    with pytest.raises(DataError, match=rf"{name} isn't the file that `vae-pipeline prepare` wrote: run .* again"):
        Prepared.open(data)


@pytest.mark.parametrize("name", ["weights.safetensors", "sampler.json", "recipe.yaml", "spec.json"])
def test_a_flipped_bit_of_a_model(name, model):
    flip(model / name)
    with pytest.raises(DataError, match=rf"{name} isn't the file that `vae-pipeline train` wrote: run .* again"):
        Trained.load(model)


def test_a_flipped_bit_of_a_report(lane, job, tmp_path):
    report = shutil.copytree(lane.report, tmp_path / "reports" / "smoke")
    path = report / "metrics.json"
    path.write_text(path.read_text().replace('"elbo": -', '"elbo": -1'))
    for read in (
        lambda: export(job, lane.data, lane.model, report, tmp_path / "out"),
        lambda: print_summary(job.console, tmp_path / "reports", tmp_path),
    ):
        with pytest.raises(DataError, match=r"metrics\.json isn't the file that `vae-pipeline eval` wrote"):
            read()


@pytest.mark.parametrize(("name", "command"), [("data", "prepare"), ("model", "train")])
def test_a_folder_of_an_earlier_version_has_no_digests(name, command, data, model):
    folder, read = {"data": (data, Prepared.open), "model": (model, Trained.load)}[name]
    (folder / "digests.json").unlink()
    with pytest.raises(DataError, match=rf"digests\.json isn't there, .*: run `vae-pipeline {command}` again"):
        read(folder)


@pytest.mark.parametrize("name", ["train.npy", "test_labels.npy", "spec.json", "digests.json"])
def test_a_pipe_in_place_of_a_file(name, data):
    (data / name).unlink()
    os.mkfifo(data / name)
    with pytest.raises(DataError, match=name):
        Prepared.open(data)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "x" * 300, ""])
def test_digests_are_of_the_files_beside_them(name, data):
    (data / "digests.json").write_text(json.dumps({name: "0"}))
    with pytest.raises(DataError, match=r"digests\.json can't be read \(.* isn't the name of a file beside it\)"):
        Prepared.open(data)


@pytest.mark.parametrize(
    "change", [lambda digests: digests.pop("train.npy"), lambda digests: digests.pop("digests.json")]
)
def test_a_digest_that_was_lost_is_missed(change, data):
    digests = json.loads((data / "digests.json").read_text())
    change(digests)
    (data / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(
        DataError, match=r"digests\.json can't be read \(it was altered\): run `vae-pipeline prepare` again"
    ):
        Prepared.open(data)


def test_values_that_cannot_occur(data):
    spec = json.loads((data / "spec.json").read_text())
    (data / "spec.json").write_text(json.dumps({**spec, "high": 100}))
    seal(data)
    with pytest.raises(DataError, match=r"train\.npy doesn't fit spec\.json \(observations from 0 to 255 were given"):
        Prepared.open(data)


@pytest.mark.parametrize(
    "change", [{"examples": {"train": "many"}}, {"origins": []}, {"duplicates": None}, {"dropped": 3}, {"notes": [1]}]
)
def test_a_card_of_wrong_values(change, data):
    card = json.loads((data / "card.json").read_text())
    (data / "card.json").write_text(json.dumps({**card, **change}))
    seal(data)
    with pytest.raises(DataError, match=rf"card\.json isn't what .* wrote \({next(iter(change))}.*\): prepare again"):
        _ = Prepared.open(data).card


def test_a_pickle_in_place_of_an_array(data):
    (data / "train.npy").write_bytes(pickle.dumps({"never": "opened"}))
    with pytest.raises(DataError, match=r"train\.npy is truncated or corrupt"):
        Prepared.open(data)


def test_markup_in_names_is_text(job, lane, smoke, tmp_path):
    odd = tmp_path / "[bold]" / "[" / "a]"
    train(job, lane.data, odd)
    job.warn("http://127.0.0.1/[/x]")
    evaluate(job, lane.data, odd, tmp_path / "[/report]")
    assert (tmp_path / "[/report]" / "metrics.json").is_file()
