"""ONNX Runtime for browsers: two files of the npm package onnxruntime-web, fetched when a page is written.

They aren't part of this package: 14 MB of WebAssembly would be of no use to most who install it.
"""

import shutil
import subprocess
import tarfile
from dataclasses import dataclass

from vae_pipeline.kinds.download import Finder
from vae_pipeline.recipe.data import File

VERSION = "1.30.0"
# npm states sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ== of it.
DIGEST = "sha256:d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
# The build for the CPU with its loader inside; the others are for WebGPU, WebGL and WebNN.
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"


@dataclass(frozen=True)
class BrowserRuntime:
    """The runtime's JavaScript module, and the WebAssembly that it runs."""

    script: bytes
    wasm: bytes


def fetch_runtime(finder: Finder) -> BrowserRuntime:
    """The runtime, from the mirror, an earlier download or the registry that npm is set to.

    Raises:
        DownloadError: it can't be had.
    """
    with tarfile.open(finder.find(File(url=_address(), digest=DIGEST))) as archive:
        return BrowserRuntime(*(_read(archive, f"package/dist/{name}") for name in (SCRIPT, WASM)))


def _address() -> str:
    """The package's address; without npm one that leads nowhere, by whose name a mirror still has the package."""
    registry = "https://npm-is-not-installed.invalid"
    if shutil.which("npm") is not None:
        asked = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=False)
        said = asked.stdout.strip().rstrip("/")
        registry = said if said.startswith("http") else "https://npm-names-no-registry.invalid"
    return f"{registry}/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None  # the archive's digest says that it is there
    return file.read()
