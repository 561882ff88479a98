"""The recipe mnist beside the beginner's Keras program: -ELBO on the 10,000 test images after ten epochs.

Both train on the same 60,000 images; the runs alternate; each seed is one pair.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = HERE / ".envs" / "keras"
KERAS = ["keras==3.15.1", "tensorflow-cpu==2.21.0", "numpy>=2"]
RECIPE = HERE.parent / "pipeline" / "mnist.yaml"


def keras_python() -> Path:
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").is_file():
        venv.create(ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *KERAS], check=True)
        (ENVIRONMENT / "installed").touch()
    return python


def ours(data: Path, seed: int, work: Path) -> float:
    cli = [sys.executable, "-m", "vae_pipeline"]
    model, report = work / f"model-{seed}", work / f"report-{seed}"
    common = ["--data", str(data), "--seed", str(seed)]
    subprocess.run([*cli, "train", str(RECIPE), *common, "--out", str(model)], check=True, stdout=sys.stderr)
    evaluate = [*cli, "eval", str(RECIPE), *common, "--model", str(model), "--out", str(report)]
    subprocess.run(evaluate, check=True, stdout=sys.stderr)
    return -float(json.loads((report / "metrics.json").read_text())["elbo"])


def keras(data: Path, seed: int) -> float:
    program = [keras_python(), HERE / "keras_program.py", data, str(seed)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["negative_elbo"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = work / "data"
        prepare = [sys.executable, "-m", "vae_pipeline", "prepare", str(RECIPE), "--out", str(data)]
        subprocess.run(prepare, check=True, stdout=sys.stderr)
        pairs = [(ours(data, seed, work), keras(data, seed)) for seed in seeds]
    print("| seed | vae-pipeline | Keras |\n|---:|---:|---:|")
    for seed, pair in zip(seeds, pairs, strict=True):
        print(f"| {seed} | {pair[0]:.2f} | {pair[1]:.2f} |")
    means = [statistics.mean(column) for column in zip(*pairs, strict=True)]
    print(f"| mean | {means[0]:.2f} | {means[1]:.2f} |")
    print(f"\n-ELBO in nats; ratio of the means {means[0] / means[1]:.4f}")


if __name__ == "__main__":
    main()
