"""A bundle fetched from the Hub: the files that its bundle.json names, kept for when there is no network."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from vae_pipeline.bundles.hub.address import Address, on_the_hub
from vae_pipeline.runtime.files import HEAVIEST
from vae_pipeline.runtime.manifest import FILE, Manifest
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import content_key, filled_folder

HOME = Path.home() / ".cache" / "vae-pipeline"


@dataclass(frozen=True)
class Fetched:
    """A bundle that was fetched."""

    folder: Path
    commit: str
    """The commit that the revision is."""


def fetch(address: str, home: Path = HOME) -> Fetched:
    """Fetch a bundle by `hf://OWNER/NAME[@REVISION]`; its folder is kept in `home`, one for each commit.

    huggingface_hub keeps what it downloads in its own cache (HF_HOME), and finds it there with HF_HUB_OFFLINE=1.

    Raises:
        BundleError: the address is none, the Hub doesn't have it or can't be reached, or it isn't a bundle.
    """
    of = Address.of(address)
    with on_the_hub(of):
        from huggingface_hub import snapshot_download  # noqa: PLC0415

        told = Path(snapshot_download(of.name, revision=of.revision, allow_patterns=[FILE]))
        if not (told / FILE).is_file():
            raise BundleError(f"{of} isn't a bundle: the repository has no {FILE}")
        names = files_of(Manifest.load(told))
        found = Path(snapshot_download(of.name, revision=told.name, allow_patterns=names))
    folder = home / "bundles" / content_key("hub", of.name, told.name)
    if not folder.is_dir():
        with filled_folder(folder) as filled:
            for name in names:
                _place(found / name, filled / name, of)
    return Fetched(folder, told.name)


def files_of(manifest: Manifest) -> list[str]:
    """The names of all files of a bundle, none of which leads out of its folder."""
    graphs = [name for graph in manifest.graphs.values() for name in (graph.file, graph.golden)]
    return sorted({FILE, *graphs, *manifest.arrays, *manifest.files})


def _place(cached: Path, path: Path, of: Address) -> None:
    """Put a file of the cache, where links lead to it, into the folder; without a copy if both are on one disk."""
    source = cached.resolve()
    if not source.is_file():
        raise BundleError(f"{of}: {path.name} is named by {FILE}, and isn't in the repository: push the bundle again")
    if source.stat().st_size > HEAVIEST:
        raise BundleError(f"{of}: {path.name} is larger than {HEAVIEST // 2**30} GiB")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
