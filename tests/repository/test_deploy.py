"""The files of deploy/: what they name is there, and the batch script calls the stages in their order."""

import os
import re
import shlex
import subprocess

import pytest
import yaml
from tests.lanes import ROOT
from typer.main import get_command

from vae_pipeline.cli.main import app

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICE, VOLUME, JOB = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
POD = JOB["spec"]["template"]["spec"]
(TRAIN,) = POD["containers"]


def stages():
    """The Dockerfile's stages, in their order: name and instructions."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    parts = re.split(r"^FROM (\S+) AS (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: (base, body.splitlines()) for base, name, body in zip(*[iter(parts)] * 3, strict=True)}


def test_every_stage_of_the_image_is_made_of_earlier_ones():
    seen = []
    for name, (base, lines) in stages().items():
        taken = re.findall(r"from=(\w+)", "\n".join(lines))
        assert {*taken, *([] if base.startswith("python:") else [base])} <= {*seen}, name
        seen.append(name)
    assert seen[-3:] == ["cpu", "cuda", "runtime"]


@pytest.mark.parametrize("target", ["cpu", "cuda", "runtime"])
def test_no_image_runs_as_root(target):
    base, lines = stages()[target]
    users = [line for line in [*stages()[base][1], *lines] if line.startswith("USER ")]
    assert users[-1] == "USER 1000:1000"


def test_compose_names_what_is_there():
    assert COMPOSE["services"]["mlflow"]["build"]["target"] == "${TARGET:-cpu}"
    for service in COMPOSE["services"].values():
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert {*service.get("depends_on", ())} <= {*COMPOSE["services"]}
    _, recipe = COMPOSE["services"]["train"]["command"]
    assert (ROOT / re.fullmatch(r"\$\{RECIPE:-(.*)\}", recipe)[1]).is_file()


def test_the_pods_find_each_other_and_the_volume():
    assert SERVICE["spec"]["selector"] == {"job-name": JOB["metadata"]["name"]}
    assert POD["subdomain"] == SERVICE["metadata"]["name"] and SERVICE["spec"]["publishNotReadyAddresses"]
    (program,) = TRAIN["args"]
    first = f"{JOB['metadata']['name']}-0.{POD['subdomain']}:{SERVICE['spec']['ports'][0]['port']}"
    assert f"--rdzv-endpoint {first}" in program and f"--nnodes 1:{JOB['spec']['completions']}" in program
    assert JOB["spec"]["completions"] == JOB["spec"]["parallelism"]
    processes = next(each["value"] for each in TRAIN["env"] if each["name"] == "PROCESSES")
    assert int(processes) == TRAIN["resources"]["limits"]["nvidia.com/gpu"]
    claims = {each["name"]: each.get("persistentVolumeClaim", {}).get("claimName") for each in POD["volumes"]}
    assert claims["work"] == VOLUME["metadata"]["name"]
    assert {each["name"] for each in TRAIN["volumeMounts"]} == {*claims}


def commands():
    """The commands of vae-pipeline in the files, each as its words."""
    for text in ((DEPLOY / "slurm.sh").read_text(), *TRAIN["args"]):
        for line in text.replace("\\\n", " ").splitlines():
            if found := re.search(r"(?:^|\|\| |-m )vae[-_]pipeline (.*)", line.strip()):
                yield shlex.split(found[1])


def test_the_commands_and_their_options_exist():
    ours, seen = get_command(app).commands, set()
    for name, *words in commands():
        known = {option for parameter in ours[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, name
        seen.add(name)
    assert seen == {"prepare", "train", "eval", "export"}


@pytest.fixture
def called(tmp_path):
    """Run a command where a stand-in for programs of clusters, and for ours, writes down how it was called."""
    for name in ("scontrol", "srun", "torchrun", "vae-pipeline"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\nprintf "%s|" {name} "$@" >> "{tmp_path}/calls"\necho >> "{tmp_path}/calls"\necho n1\necho n2\n'
            '[ "$1" != prepare ] || { mkdir -p "$4" && touch "$4/spec.json"; }\n'
        )
        program.chmod(0o755)

    def run(*command, **environment):
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        subprocess.run(
            command, env={**os.environ, **environment, "PATH": path}, cwd=tmp_path, check=True, capture_output=True
        )
        calls = [line.split("|")[:-1] for line in (tmp_path / "calls").read_text().splitlines()]
        (tmp_path / "calls").unlink()
        return calls

    return run


def test_the_batch_script_calls_the_stages_in_their_order(called):
    slurm = {"JOB_NODELIST": "n[1-2]", "JOB_NUM_NODES": "2", "GPUS_ON_NODE": "4", "CPUS_PER_TASK": "8", "JOB_ID": "7"}
    environment = {f"SLURM_{name}": value for name, value in slurm.items()}
    calls = called("bash", DEPLOY / "slurm.sh", "pipeline/two words.yaml", **environment)
    assert [call[:2] for call in calls if call[0] == "vae-pipeline"] == [
        ["vae-pipeline", stage] for stage in ("prepare", "eval", "export")
    ]
    assert [call[0] for call in calls] == ["scontrol", "vae-pipeline", "srun", "vae-pipeline", "vae-pipeline"]
    started = " ".join(calls[2])
    assert started.startswith("srun torchrun --nnodes 2 --nproc-per-node 4 ") and "--rdzv-endpoint n1:29500" in started
    assert calls[2][-5:] == [
        "pipeline/two words.yaml",
        "--data",
        "data/prepared/two words",
        "--out",
        "models/two words",
    ]


def test_the_first_pod_prepares_evaluates_and_exports(called):
    pod = [*TRAIN["command"], *TRAIN["args"]]
    first = called(*pod, JOB_COMPLETION_INDEX="0", PROCESSES="1")
    assert [" ".join(call[:2]) for call in first] == [
        "vae-pipeline prepare", "torchrun --nnodes", "vae-pipeline eval", "vae-pipeline export",
    ]  # fmt: skip
    assert [call[0] for call in called(*pod, JOB_COMPLETION_INDEX="1", PROCESSES="1")] == ["torchrun"]
