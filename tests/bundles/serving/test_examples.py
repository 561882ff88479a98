"""The clients of examples/, against a server."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests.bundles.serving.v2_server import v2_server
from tests.lanes import ROOT

from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.runtime import Bundle


@pytest.fixture(scope="module")
def server(lane, tmp_path_factory):
    repository = tmp_path_factory.mktemp("serving") / "repository"
    write_repository(Bundle.load(lane.bundle), "mlserver", repository)
    with v2_server(repository) as address:
        yield address


def run(command, server, file, status=0):
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} isn't installed")
    arguments = [program, *command[1:], server, "smoke", file]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


CLIENTS = [[sys.executable, "examples/client.py"], ["sh", "examples/client.sh"], ["node", "examples/client.mjs"]]


def error_of(lane):
    """The root of the mean squared difference of the first test row's reconstruction."""
    x = np.load(lane.data / "test.npy")[:1]
    return np.sqrt(np.mean((x - Bundle.load(lane.bundle).reconstruct(x)) ** 2))


def test_python_prints_both_and_their_distance(server, lane):
    *rows, last = run(CLIENTS[0], server, lane.data / "test.npy").splitlines()
    assert last == f"root mean squared error {error_of(lane):.4f}"
    x = np.load(lane.data / "test.npy")[:1]
    assert [len(row) for row in rows] == [2 * 2 * 12] * 12
    brightest = np.argwhere(x[0, 0] == x.max())[0]
    assert rows[brightest[0]][2 * brightest[1]] == "@"


def test_curl_prints_the_answer(server, lane):
    (output,) = json.loads(run(CLIENTS[1], server, lane.data / "test.npy"))["outputs"]
    wanted = Bundle.load(lane.bundle).reconstruct(np.load(lane.data / "test.npy")[:1])
    assert output["name"] == "x_mean"
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), wanted, atol=1e-3)


def test_node_prints_the_score(server, lane):
    printed = run(CLIENTS[2], server, lane.data / "test.npy")
    found = {name: float(value) for name, value in re.findall(r"(\w+) (-?[\d.]+) nats", printed)}
    x = np.repeat(np.load(lane.data / "test.npy")[:1], 400, axis=0)
    noise = np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)
    wanted = Bundle.load(lane.bundle).answer("score", {"x": x, "noise": noise})
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        error = values.std() / np.sqrt(16)
        assert abs(found[name] - values.mean()) < 6 * error + 1e-3


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client[-1])
def test_a_refusal_is_shown(client, server, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 1, 5, 5), np.uint8))
    said = run(client, server, tmp_path / "x.npy", status={"sh": 22}.get(client[0], 1))
    assert "1, 5, 5] were given; wanted [examples, 1, 12, 12]" in said
