"""The peers' environments, each under benchmarks/.envs, made when first asked for."""

import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = {
    "keras": ["keras==3.15.1", "tensorflow-cpu==2.21.0", "numpy>=2"],
    "jax": ["jax==0.10.2", "optax"],
    "pythae": ["pythae==0.1.2", "torch==2.13.0", "jaxtyping==0.3.11", "pyyaml==6.0.3"],
}


def python(peer: str) -> Path:
    """The interpreter of a peer's environment."""
    folder, wanted = HERE / ".envs" / peer, "\n".join(PEERS[peer])
    installed = folder / "installed"
    if not installed.is_file() or installed.read_text() != wanted:
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *PEERS[peer]], check=True)
        installed.write_text(wanted)
    return folder / "bin" / "python"
