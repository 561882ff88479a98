"""What another program, a crash or a curious hand made of a stage's folder: one clear line, no traceback."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.lanes import make_job

from vae_pipeline.data.store import Prepared
from vae_pipeline.errors import DataError, VaeError, WeightsError
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.summary import print_summary
from vae_pipeline.stages.train import train
from vae_pipeline.stages.trained import Trained

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
    with pytest.raises(WeightsError):
        Trained.load(model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value, model):
    path = model / "weights.safetensors"
    tensors = load_file(path)
    tensors["decoder.output.bias"][3] = value
    save_file(tensors, path, metadata={"vae_pipeline": '{"format": 1}'})
    with pytest.raises(WeightsError, match=r"NaN or infinity in decoder\.output\.bias"):
        Trained.load(model)


def test_weights_of_another_type(model):
    path = model / "weights.safetensors"
    tensors = {name: tensor.to(torch.complex64) for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"vae_pipeline": '{"format": 1}'})
    with pytest.raises(WeightsError, match="complex64"):
        Trained.load(model)


def test_a_history_without_figures(model):
    lines = (model / "history.csv").read_text().splitlines()
    header, *rows = lines
    (model / "history.csv").write_text("\n".join([header, *("1,,,,,,,,,,,,1.0" for _ in rows)]))
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
    with pytest.raises(DataError, match=r"index\.html can't be read: run `vae-pipeline eval` first"):
        export(job, lane.data, lane.model, report, tmp_path / "out")


def test_a_report_of_other_weights(lane, conditional_lane, job, tmp_path):
    with pytest.raises(
        DataError, match=r"index\.html isn't the report of these weights, \w{12}: run `vae-pipeline eval`"
    ):
        export(job, lane.data, lane.model, conditional_lane.report, tmp_path / "out")


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
