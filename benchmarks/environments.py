"""The environments of peers and of other runtimes, each under benchmarks/.envs, made when first asked for."""

import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "keras": ["keras==3.15.1", "tensorflow-cpu==2.21.0", "numpy>=2"],
    "jax": ["jax==0.10.2", "optax"],
    "pyod": ["pyod==3.6.7", "torch==2.13.0", "tqdm"],
    "pythae": ["pythae==0.1.2", "torch==2.13.0", "jaxtyping==0.3.11", "pyyaml==6.0.3"],
}
# Denoisers of images and of sound, and the judges of speech.
DENOISERS = [
    *("numpy==2.4.6", "scipy==1.17.1", "scikit-image==0.26.0", "PyWavelets==1.9.0", "bm3d==4.0.3"),
    *("noisereduce==3.0.3", "pystoi==0.4.1", "pesq==0.0.4"),
]
# What `vae-pipeline conform` imports, and the runtimes.
RUNTIMES = [
    *("numpy", "pydantic-settings", "python-dotenv", "rich", "scipy", "typer"),
    *("onnx==1.23.2", "onnxruntime==1.32.0", "openvino==2026.4.1", "opencv-python-headless==5.0.0.93"),
    *("tract==0.23.9", "MNN==3.6.1"),
]
# Synthesisers of tables.
SYNTHESISERS = ["ctgan==0.12.1", "arfpy==0.1.1", "torch==2.13.0", "scikit-learn==1.9.1"]
# What reads and writes the autoencoders that we exchange with it.
DIFFUSERS = ["diffusers==0.42.1", "torch==2.13.0", "safetensors==0.8.0"]
ENVIRONMENTS = PEERS | {"runtimes": RUNTIMES, "diffusers": DIFFUSERS, "denoisers": DENOISERS, "synthesis": SYNTHESISERS}


def python(peer: str) -> Path:
    """The interpreter of an environment."""
    folder, wanted = HERE / ".envs" / peer, "\n".join(ENVIRONMENTS[peer])
    installed = folder / "installed"
    if not installed.is_file() or installed.read_text() != wanted:
        venv.create(folder, with_pip=True)
        subprocess.run(
            [folder / "bin" / "python", "-I", "-m", "pip", "install", "--quiet", *ENVIRONMENTS[peer]], check=True
        )
        installed.write_text(wanted)
    return folder / "bin" / "python"
