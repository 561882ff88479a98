"""The distributions that hold this package, `vae-pipeline` and `vae-pipeline-runtime`: their files are the same ones.

pip installs one over the other without a word, and of two versions some modules are then of one and some of the other.
"""

from pathlib import Path

from vae_pipeline.system.errors import MixedError


def require_one_version(folder: Path | None = None) -> None:
    """Refuse an installation that is of two versions; `folder` is the one that holds the package.

    Raises:
        MixedError: it is.
    """
    folder = folder or Path(__file__).parents[2]
    # Metadata by their folders' names: importlib.metadata costs 20 ms more.
    found = sorted(each.stem.split("-")[:2] for each in folder.glob("vae_pipeline*-*.dist-info"))
    if len({version for _, version in found}) > 1:
        both = " and ".join(f"{name.replace('_', '-')} {version}" for name, version in found)
        raise MixedError(
            f"{both} are installed together, and their files are mixed: uninstall both, and install one of them"
        )
