import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane

from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The recipe digits, cut short, and the registry that its bundle is in."""
    folder = tmp_path_factory.mktemp("digits")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    recipe = edited(Recipe.load(ROOT / "pipeline" / "digits.yaml"), train={"epochs": 3}, evaluate=WAIVED)
    return run_lane(make_job("digits", recipe, folder / "home", mlflow_uri=uri, mlflow_registry="on"), folder), uri


@pytest.fixture(scope="module")
def address(digits, tmp_path_factory):
    """Of `mlflow models serve` on the registered model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["models", "serve", "--env-manager", "local", "-m", "models:/digits@candidate", "-p", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": digits[1], "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            await_answer(f"http://127.0.0.1:{port}/ping", process, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            process.terminate()
            process.wait(30)


def await_answer(url, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    pytest.fail(f"no answer within two minutes: {log.read_text()}")


def post(url, inputs):
    request = urllib.request.Request(url, json.dumps({"inputs": inputs}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_registered_detector_answers_real_digits(digits, address):
    lane, _ = digits
    x = np.load(lane.data / "test.npy")[:5]
    answer, found = post(address, {"x": x.tolist()})["predictions"], Bundle.load(lane.bundle).detect(x)
    np.testing.assert_allclose(answer["score"], found.score, rtol=1e-4)
    np.testing.assert_allclose(answer["p_value"], found.p_value, atol=1e-4)


def test_digits_of_another_size_are_refused(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(address, {"x": np.zeros((1, 1, 9, 9)).tolist()})
    with refused.value as answer:
        assert answer.code == 400
