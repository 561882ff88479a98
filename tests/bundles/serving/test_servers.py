"""The servers' own programs, in an environment of their own: `make test-runtimes` sees to it."""

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
import onnxruntime
import pytest
from tests.bundles.serving.test_examples import CLIENTS, error_of, run
from tests.bundles.serving.test_repository import LANES
from tests.lanes import ROOT

from vae_pipeline.bundles.serving.protocol import DATATYPES
from vae_pipeline.bundles.serving.repository import write_repository
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import SIGNATURES

pytestmark = pytest.mark.runtimes
PROGRAMS = ROOT / ".vae" / "serving" / "bin"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def read(address, content=None):
    body = None if content is None else json.dumps(content).encode()
    with urlopen(Request(address, body, {"Content-Type": "application/json"}), timeout=60) as answer:
        return json.loads(answer.read() or "null")


@pytest.fixture(scope="module")
def repository(lane, conditional_lane, tmp_path_factory):
    """Two bundles' repositories, each in a folder of what the server reads."""
    folder = tmp_path_factory.mktemp("repository")
    for name in LANES:
        bundle = {"lane": lane, "conditional_lane": conditional_lane}[name].bundle
        write_repository(Bundle.load(bundle), "mlserver", folder / name)
    shutil.copy(folder / "lane" / "settings.json", folder)
    return folder


@pytest.fixture(scope="module")
def mlserver(repository, tmp_path_factory):
    """MLServer's address, once all models are ready."""
    http, grpc, metrics = free_ports(3)
    env = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
    }
    folder = tmp_path_factory.mktemp("mlserver")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAMS / "mlserver", "start", repository], env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            try:
                read(f"http://127.0.0.1:{http}/v2/health/ready")
                break
            except (URLError, ConnectionError):
                time.sleep(0.2)
        yield f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        process.wait(30)


def request_of(arrays):
    return {
        "inputs": [
            {"name": name, "datatype": DATATYPES[str(x.dtype)], "shape": x.shape, "data": x.ravel().tolist()}
            for name, x in arrays.items()
        ]
    }


class TestMlserver:
    @pytest.mark.parametrize("graph", SIGNATURES)
    @pytest.mark.parametrize("which", LANES)
    def test_it_answers_as_onnxruntime_does(self, which, graph, mlserver, repository):
        """On real test rows: the golden inputs."""
        bundle = Bundle.load(repository / which)
        described = bundle.manifest.graphs[graph]
        address = f"{mlserver}/v2/models/{bundle.manifest.recipe}_{graph}"
        session = onnxruntime.InferenceSession(repository / which / described.file)
        golden = bundle.golden(graph)
        given = {name: golden[name] for name in described.inputs}
        answer = read(f"{address}/infer", request_of(given))
        assert answer["model_version"] == "1"
        names = [output["name"] for output in answer["outputs"]]
        assert names == list(described.outputs)
        for output, wanted in zip(answer["outputs"], session.run(names, given), strict=True):
            assert output["datatype"] == "FP32" and output["shape"] == list(wanted.shape)
            np.testing.assert_allclose(np.reshape(output["data"], wanted.shape), wanted, rtol=1e-5, atol=1e-5)

    def test_its_metadata_is_filled_in(self, mlserver):
        found = read(f"{mlserver}/v2/models/smoke_score")
        assert found == found | {
            "name": "smoke_score",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [
                {"name": "x", "datatype": "UINT8", "shape": [-1, 1, 12, 12]},
                {"name": "noise", "datatype": "FP32", "shape": [-1, 2]},
            ],
            "outputs": [
                {"name": name, "datatype": "FP32", "shape": [-1]} for name in ("negative_elbo", "distortion", "rate")
            ],
        }

    def test_only_the_outputs_that_are_asked_for_are_given(self, mlserver):
        content = request_of({"x": np.zeros((2, 1, 12, 12), np.uint8)})
        answer = read(f"{mlserver}/v2/models/smoke_encoder/infer", content | {"outputs": [{"name": "log_variance"}]})
        assert [output["name"] for output in answer["outputs"]] == ["log_variance"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"name": "image"}, "inputs image were given; wanted x"),
            ({"datatype": "FP32"}, "x was given as FP32; wanted UINT8"),
            ({"shape": [2, 1, 12, 12]}, "x doesn't hold the values of its shape [2, 1, 12, 12]"),
            ({"shape": [2**63]}, f"x doesn't hold the values of its shape [{2**63}]"),
            ({"data": [[0], [0, 0]]}, "x doesn't hold the values of its shape [1, 1, 12, 12]"),
            ({"shape": [1, 144]}, "observations of shape [1, 144] were given; wanted [examples, 1, 12, 12]"),
            ({"data": [300] * 144}, "observations from 300 to 300 were given"),
            ({"data": [0.5] * 144}, "the observations aren't whole numbers"),
            ({"data": ["a"] * 144}, "numbers are wanted"),
            ({"outputs": [{"name": "y"}]}, "outputs y were asked for; it gives x_mean"),
        ],
    )
    def test_what_the_graph_does_not_take_is_refused(self, change, message, mlserver):
        content = request_of({"x": np.zeros((1, 1, 12, 12), np.uint8)})
        (content if "outputs" in change else content["inputs"][0]).update(change)
        with pytest.raises(HTTPError) as caught:
            read(f"{mlserver}/v2/models/smoke_reconstruct/infer", content)
        with closing(caught.value) as error:
            assert error.code == 400
            assert message in json.loads(error.read())["error"]

    @pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client[-1])
    def test_the_examples_are_answered(self, client, mlserver, lane):
        assert run(client, mlserver, lane.data / "test.npy")


TRITON = {"tensor(uint8)": "TYPE_UINT8", "tensor(int64)": "TYPE_INT64", "tensor(float)": "TYPE_FP32"}
READ = """
import json, sys
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
for path in sys.argv[1:]:
    config = text_format.Parse(open(path).read(), ModelConfig())
    print(json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True)))
"""


@pytest.mark.parametrize("which", LANES)
def test_triton_reads_the_configs(which, request, tmp_path):
    """The check is the ModelConfig of Triton's own client."""
    write_repository(Bundle.load(request.getfixturevalue(which).bundle), "triton", tmp_path / "triton")
    paths = sorted((tmp_path / "triton").glob("*/config.pbtxt"))
    done = subprocess.run([PROGRAMS / "python", "-c", READ, *paths], capture_output=True, text=True, check=True)
    for path, line in zip(paths, done.stdout.splitlines(), strict=True):
        config = json.loads(line)
        session = onnxruntime.InferenceSession(path.parent / "1" / "model.onnx")
        assert config["name"] == path.parent.name and config["max_batch_size"] == 256
        for tensors, values in (("input", session.get_inputs()), ("output", session.get_outputs())):
            found = [
                (t["name"], t["data_type"], t["reshape"].get("shape", []) if "reshape" in t else t["dims"])
                for t in config[tensors]
            ]
            assert found == [(v.name, TRITON[v.type], [str(side) for side in v.shape[1:]]) for v in values]


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ isn't installed")
def test_the_example_in_c_plus_plus_reconstructs(lane, tmp_path):
    (place,) = map(Path, find_spec("openvino").submodule_search_locations)
    libraries = place / "libs"
    source, program = ROOT / "examples" / "reconstruct.cpp", tmp_path / "reconstruct"
    options = ["-std=c++17", f"-I{place / 'include'}", f"-Wl,-rpath,{libraries}", "-o", program]
    subprocess.run(["g++", source, *libraries.glob("libopenvino.so.*"), *options], check=True)

    def said(rows, status):
        arguments = [program, lane.bundle / "reconstruct.onnx", rows]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    error = said(lane.data / "test.npy", 0).removeprefix("root mean squared error ")
    assert float(error) == pytest.approx(error_of(lane), abs=1e-3)
    assert "an .npy of uint8, of rows of 144 values, is wanted" in said(lane.bundle / "bundle.json", 2)
