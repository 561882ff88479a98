"""A project of one's own: a folder of recipes and stages that runs by the installed package, without its repository."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from vae_pipeline.system.errors import OutputError
from vae_pipeline.system.files import replace_file
from vae_pipeline.system.version import __version__

TEMPLATES = {
    "dvc.yaml": "dvc.yaml",
    "params.yaml": "params.yaml",
    "requirements.txt": "requirements.txt",
    "Makefile": "Makefile",
    "README.md": "README.md",
    "pipeline/README.md": "pipeline_README.md",
    "data/raw/.gitkeep": None,
    ".gitignore": "gitignore",
    ".dvcignore": "dvcignore",
    ".dvc/config": "dvc_config",
    ".dvc/.gitignore": "dvc_gitignore",
    ".github/workflows/pipeline.yml": "github.yml",
    ".gitlab-ci.yml": "gitlab.yml",
}
"""Each file of a project, and its template; None for an empty one."""
NO_SCM = "    no_scm = true\n"  # what `dvc init --no-scm` adds to the section core of DVC's settings


def lay_out(name: str, folder: Path, scm: bool = True) -> list[Path]:
    """Write the files of a project into a folder, and give them; make it a repository of git unless it is in one.

    Where there is no git, or `scm` is False, DVC is told to do without.

    Raises:
        OutputError: the folder holds files already, or can't be written.
    """
    if not is_free(folder):
        raise OutputError(f"{folder} holds files already: name a new folder, or go to an empty one")
    scm = scm and shutil.which("git") is not None
    for path, template in TEMPLATES.items():
        text = "" if template is None else files(__package__).joinpath("templates", template).read_text("utf-8")
        text = text.replace("@NAME@", name).replace("@VERSION@", __version__)
        replace_file(folder / path, (text + NO_SCM if path == ".dvc/config" and not scm else text).encode())
    if scm and _git(folder, "rev-parse", "--is-inside-work-tree") != 0:
        _git(folder, "init", "--quiet")
    return [folder / path for path in TEMPLATES]


def is_free(folder: Path) -> bool:
    """True of a folder that isn't there, or that holds hidden names alone, and no file of a project among them."""
    if not folder.exists():
        return True
    seen = not folder.is_dir() or any(not each.name.startswith(".") for each in folder.iterdir())
    return not seen and not any((folder / path).exists() for path in TEMPLATES)


def _git(folder: Path, *words: str) -> int:
    return subprocess.run(["git", "-C", folder, *words], capture_output=True, check=False).returncode
