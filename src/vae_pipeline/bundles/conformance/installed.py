"""The runtimes that are installed, their versions, and the way to install the others."""

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from vae_pipeline.bundles.conformance.runtimes import Runtime

NPM = {"onnxruntime-node": "1.30.0", "onnxruntime-web": "1.30.0"}
"""npm's packages, and the versions that are fetched."""


def modules(home: Path) -> Path:
    """npm's packages under VAE_HOME: a folder for each choice of versions."""
    return home.absolute() / "node" / "-".join(NPM.values()) / "node_modules"


def browser() -> str | None:
    """The browser's program."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing(runtime: Runtime) -> str | None:
    """One line that says how to install the package or program that the runtime lacks; None if nothing is lacking."""
    if runtime.distribution:
        return None if version(runtime) else f"pip install 'vae-pipeline[{runtime}]'"
    if not (shutil.which("node") and shutil.which("npm")):
        return "install Node.js with npm"
    if runtime is Runtime.CHROMIUM and browser() is None:
        return "install Chromium (Debian: apt-get install chromium)"
    return None


def version(runtime: Runtime) -> str:
    """The installed version; empty if there is none."""
    if runtime.distribution:
        try:
            return metadata.version(runtime.distribution)
        except metadata.PackageNotFoundError:
            return ""
    if runtime is Runtime.CHROMIUM:
        return f"{NPM['onnxruntime-web']}, {_printed(browser() or 'chromium', '--version').partition(' built on')[0]}"
    return f"{NPM[runtime]}, Node {_printed('node', '--version')}"


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
