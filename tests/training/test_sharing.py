"""A training part in shards: each process reads its own, and the numbers are those of one that has all."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import yaml
from tests.lanes import edited, figures, make_job
from tests.training.test_execution import begun
from tests.training.test_principal import NET

from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.shards import Shards
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.system.errors import DataError, SettingsError
from vae_pipeline.training.batches import Batches, _by_shards
from vae_pipeline.training.processes import ALONE, Processes
from vae_pipeline.training.sharing import place_of, require_validation
from vae_pipeline.training.trained import SamplerChoice

CPU, SHARDS, COUNT = torch.device("cpu"), 4, 203
VALUES = np.arange(COUNT + 2, dtype=np.float32)[:, None]
LONG = 20  # epochs, in which there is time to kill a process


def test_an_order_gives_the_places_of_a_shard_to_its_rows():
    order = _by_shards(COUNT, SHARDS, torch.Generator().manual_seed(0)).numpy()
    assert sorted(order) == list(range(COUNT))
    assert (order % SHARDS == np.arange(COUNT) % SHARDS).all()
    assert abs(np.corrcoef(order, np.arange(COUNT))[0, 1]) < 0.2
    whole = _by_shards(COUNT, 1, torch.Generator().manual_seed(0))
    assert torch.equal(whole, torch.randperm(COUNT, generator=torch.Generator().manual_seed(0)))


def of(place, processes, count=COUNT, pieces=1, **more):
    """The batches of a process that has its own shards alone: no other row could be read."""
    files = {shard: VALUES[:count][shard::SHARDS] for shard in range(place, SHARDS, processes)}
    x = Shards(files, SHARDS, (count, 1), "float32")
    x.expect_any_order = lambda: None
    batches = Batches(Split(x, np.arange(count)), 12, 0, CPU, pieces, processes=processes, **more)
    return [batch.parts for batch in batches.epoch(0)]


@pytest.mark.parametrize("count", [COUNT, 205, 4])  # 205: one row is left for the last batch
@pytest.mark.parametrize("pieces", [1, 5])
@pytest.mark.parametrize("processes", [2, 4])
def test_the_batches_of_all_are_those_of_one(count, pieces, processes):
    whole = of(0, 1, count, pieces)
    shares = [of(place, processes, count, pieces) for place in range(processes)]
    for number, batch in enumerate(whole):
        for piece, rows in enumerate(batch):
            parts = [share[number][piece] for share in shares]
            found = torch.full_like(rows.rows.x, -1)
            for part in parts:
                assert torch.equal(part.rows.x[:, 0].long(), part.rows.label)
                if part.weight:
                    found[part.share.rows] = part.rows.x
            assert torch.equal(found, rows.rows.x)
            assert sum(part.weight for part in parts) == pytest.approx(processes * rows.weight)


@dataclass(frozen=True)
class Stub(Processes):
    """A process whose fellows found these shards."""

    found: tuple[tuple[int, ...], ...] = ()

    def gathered(self, value):
        return [np.isin(np.arange(len(value)), own) for own in self.found]


@pytest.fixture(scope="module")
def recipe(smoke):
    """A conditional model that starts from principal components, and a sampler of each class beside another."""
    parts = {"encoder": NET, "decoder": NET, "likelihood": {"kind": "gaussian", "scale": "learned", "mean": "linear"}}
    train = {"epochs": 4, "batch": 62, "accumulate": 2, "ema": 0.99, "clip": 20.0, "schedule": "cosine"}
    values = edited(smoke, data={"shards": SHARDS}, train=train, model=parts | {"conditional": True})
    sampler = {"kind": "auto", "among": ["prior", "gaussian_by_class"]}
    return Recipe.model_validate(values.model_dump(mode="json") | {"sampler": sampler, "detection": None})


@pytest.fixture(scope="module")
def data(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    prepare(make_job("smoke", recipe, folder / "home"), folder / "data")
    return folder / "data"


@pytest.mark.parametrize(
    ("found", "places"),
    [
        ([(0, 1, 2, 3)] * 2, [0, 1]),
        ([(1, 3), (0, 2)], [1, 0]),  # a launcher dealt other numbers than the files were copied by
        ([(0, 1, 2, 3), (0, 2)], [1, 0]),  # the first could have taken either
        ([(0,), (2,), (1,), (3,)], [0, 2, 1, 3]),
    ],
)
def test_a_process_takes_the_place_whose_shards_it_has(found, places, data):
    taken = [place_of(data, 60, Stub(rank, len(found), found=tuple(found))) for rank in range(len(found))]
    assert taken == places


EVERY = (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("found", "batch", "error", "message"),
    [
        ([(0, 2), (0, 2)], 62, DataError, r"process 1 of 2 lacks train-00001-of-00004\.npy, train-00003-of-"),
        ([EVERY] * 3, 60, SettingsError, r"shards 4 and train\.batch 60 evenly: .* which is one of 1, 2, 4$"),
        ([EVERY] * 4, 62, SettingsError, r"shards 4 and train\.batch 62 evenly: .* which is one of 1, 2$"),
    ],
)
def test_what_cannot_be_shared_is_refused(found, batch, error, message, data):
    with pytest.raises(error, match=message):
        place_of(data, batch, Stub(0, len(found), found=tuple(found)))


def test_without_a_validation_part_one_process_alone_trains(data):
    prepared = Prepared.open(data)
    none = replace(prepared, valid=Split(prepared.valid.x[:0], None))
    require_validation(none, ALONE)
    require_validation(prepared, Stub(0, 2))
    with pytest.raises(SettingsError, match=r"as there is no validation part: set data\.valid"):
        require_validation(none, Stub(0, 2))


def test_evaluation_without_a_shard_names_it(recipe, data, tmp_path):
    kept = copied(data, tmp_path / "kept", 0)
    with pytest.raises(DataError, match=r"lacks train-00001-of-00004\.npy and 1 more, .* run this there"):
        evaluate(make_job("smoke", recipe, tmp_path), kept, tmp_path / "model", tmp_path / "report")


def copied(data, to, place):
    """The data as the machine has it that is to take a place of two."""
    shutil.copytree(data, to)
    for shard in range(1 - place, SHARDS, 2):
        (to / f"train-0000{shard}-of-0000{SHARDS}.npy").unlink()
    return to


def command(recipe, folder, data, out, home, epochs=4, **environment):
    file = folder / "smoke.yaml"
    file.write_text(yaml.safe_dump(edited(recipe, train={"epochs": epochs}).model_dump(mode="json")))
    told = {"VAE_HOME": str(home), "VAE_MLFLOW_URI": "off", "VAE_THREADS": "1"}
    return {
        "args": [sys.executable, "-m", "vae_pipeline", "train", str(file), "--data", str(data), "--out", str(out)],
        "env": {**os.environ, **told, **environment},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def machines(recipe, data, folder, **more):
    """The commands of two machines that share nothing; the second has the files of the first place."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for rank in range(2):
        own = folder / f"data{rank}"
        if not own.exists():
            copied(data, own, 1 - rank)
        meeting = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
        home, out = folder / f"home{rank}", folder / f"out{rank}"
        yield command(recipe, folder, own, out, home, MASTER_PORT=port, **meeting, **more)


def ended(runs):
    """The exit codes of commands that run side by side, and what each said and complained of."""
    processes = [subprocess.Popen(**run) for run in runs]
    try:
        said = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], said


@pytest.mark.slow
def test_two_machines_of_which_each_has_its_shards_train_as_one_with_all(recipe, data, tmp_path):
    assert ended([command(recipe, tmp_path, data, tmp_path / "one", tmp_path / "home")])[0] == [0]
    codes, said = ended(machines(recipe, data, tmp_path))
    assert codes == [0, 0], said
    np.testing.assert_allclose(figures(tmp_path / "out0"), figures(tmp_path / "one"), rtol=1e-5)
    found, wanted = (SamplerChoice.load(tmp_path / out / "sampler.json") for out in ("out0", "one"))
    assert found.kind == wanted.kind
    assert found.distances == pytest.approx(wanted.distances, rel=1e-4)
    assert not (tmp_path / "out1").exists()


@pytest.mark.slow
def test_two_machines_go_on_from_a_kill_with_the_same_bits(recipe, data, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    assert ended(machines(recipe, data, whole, epochs=LONG))[0] == [0, 0]
    cut = machines(recipe, data, tmp_path, epochs=LONG, VAE_CHECKPOINT_S="0.1")
    first = [subprocess.Popen(**run) for run in cut]
    for rank, process in enumerate(first):
        begun(process, tmp_path / f"home{rank}")
    os.kill(first[1].pid, signal.SIGKILL)
    _, errors = first[0].communicate(timeout=120)
    first[1].communicate()
    assert first[0].returncode == 1 and "process 0 of 2 lost another one" in " ".join(errors.split())
    codes, said = ended(machines(recipe, data, tmp_path, epochs=LONG))
    assert codes == [0, 0] and "going on from step" in said[0][0]
    weights = "weights.safetensors"
    assert (tmp_path / "out0" / weights).read_bytes() == (whole / "out0" / weights).read_bytes()


@pytest.mark.slow
def test_a_shard_that_a_machine_lacks_is_named_by_all(recipe, data, tmp_path):
    runs = list(machines(recipe, data, tmp_path))
    (tmp_path / "data1" / "train-00002-of-00004.npy").unlink()
    codes, said = ended(runs)
    assert codes == [2, 2]
    for _, errors in said:
        assert len(errors.splitlines()) == 1
        assert "process 1 of 2 lacks train-00002-of-00004.npy" in errors


@pytest.mark.slow
def test_a_shard_that_was_changed_is_named(recipe, data, tmp_path):
    runs = list(machines(recipe, data, tmp_path))
    path = tmp_path / "data1" / "train-00002-of-00004.npy"
    save_array(path, 255 - np.load(path))
    codes, said = ended(runs)
    assert codes == [1, 2]
    assert "lost another one" in " ".join(said[0][1].split())
    assert f"{path} isn't the file that `vae-pipeline prepare` wrote" in said[1][1]


@pytest.mark.slow
def test_a_number_of_processes_that_does_not_divide_the_shards_is_refused_once(recipe, data, tmp_path):
    codes, said = ended([command(recipe, tmp_path, data, tmp_path / "out", tmp_path / "home", VAE_PROCESSES="3")])
    assert codes == [2]
    assert len(said[0][1].splitlines()) == 1 and "start a number that divides both, which is one of 1, 2" in said[0][1]


@pytest.mark.slow
def test_a_start_that_is_refused_ends_all(recipe, data, tmp_path):
    """The first process alone looks at the components, while the others wait to be asked for rows."""
    many = edited(recipe, model={"posterior": {"kind": "gaussian", "latents": 150}})
    codes, said = ended([command(many, tmp_path, data, tmp_path / "out", tmp_path / "home", VAE_PROCESSES="2")])
    assert codes == [2]
    assert "principal components" in said[0][1] and "Traceback" not in said[0][1]
