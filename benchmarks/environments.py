"""The peers' environments, each under benchmarks/.envs, made when first asked for."""

import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "keras": ["keras==3.15.1", "tensorflow-cpu==2.21.0", "numpy>=2"],
    "jax": ["jax==0.10.2", "optax"],
    "pythae": ["pythae==0.1.2", "torch==2.13.0"],
}


def python(peer: str) -> Path:
    """The interpreter of a peer's environment."""
    folder = HERE / ".envs" / peer
    if not (folder / "installed").is_file():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *PEERS[peer]], check=True)
        (folder / "installed").touch()
    return folder / "bin" / "python"
