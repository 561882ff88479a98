"""A bundle pushed to the Hub, in one commit: all of it arrives, or nothing does."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_pipeline.bundles.hub.address import Address, on_the_hub
from vae_pipeline.bundles.hub.card import readme
from vae_pipeline.bundles.hub.fetching import files_of
from vae_pipeline.runtime.files import file_of
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import BundleError, WeightsError
from vae_pipeline.system.seal import unsealed

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "MODEL_CARD.md"
WEIGHTS = {"weights.safetensors": "model.safetensors", "recipe.yaml": "recipe.yaml", "spec.json": "spec.json"}
"""The files of a trained model by which training goes on, and their names on the Hub."""


@dataclass(frozen=True)
class Pushed:
    """A commit on the Hub."""

    url: str
    commit: str
    new: bool
    """False if the repository held all of it already."""


def push(
    bundle: Path,
    address: str,
    model: Path | None = None,
    create: bool = False,
    private: bool = False,
    message: str | None = None,
) -> Pushed:
    """Push a bundle to `hf://OWNER/NAME[@BRANCH]`, and `model`, the folder of its weights, along with it.

    The token is that of HF_TOKEN or of `hf auth login`.

    Raises:
        BundleError: it isn't whole, its graphs don't give their golden answers, or the Hub doesn't take it; or it is to
            be `private`, and the repository is public.
        DataError, WeightsError: `model` isn't a folder that `train` filled, or is another model.
    """
    of = Address.of(address)
    if private and not create:
        raise BundleError("--private says how --create makes a repository: give both, or leave --private out")
    verify(bundle)
    manifest = Manifest.load(bundle)
    files: dict[str, Path | bytes] = {name: file_of(bundle, name) for name in files_of(manifest)}
    files["README.md"] = readme(_card(bundle), manifest).encode()
    if model is not None:
        if unsealed(model, "train")["weights.safetensors"] != manifest.weights_sha256:
            raise WeightsError(f"{model} holds other weights than those that {bundle} was exported from")
        files |= {name: model / here for here, name in WEIGHTS.items()}
    with on_the_hub(of):
        from huggingface_hub import CommitOperationAdd, HfApi, get_token  # noqa: PLC0415

        if get_token() is None:
            raise BundleError(f"{of} wants a token that may write: set HF_TOKEN, or run `hf auth login`")
        api = HfApi(library_name="vae-pipeline")
        if create:
            _create(api, of, private)
        there = api.model_info(of.name, revision=of.revision)
        if private and not there.private:
            raise BundleError(
                f"{of} is there, and public: nothing was pushed; make it private on the Hub, or leave --private out"
            )
        made = api.create_commit(
            of.name,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            revision=of.revision,
            commit_message=message or f"{manifest.recipe}, weights {manifest.weights_sha256[:12]}",
        )
        return Pushed(f"{api.endpoint}/{of.name}/tree/{of.revision}", made.oid, made.oid != there.sha)


def _create(api: "HfApi", of: Address, private: bool) -> None:
    api.create_repo(of.name, private=private, exist_ok=True)
    if of.revision != Address.revision:
        api.create_branch(of.name, branch=of.revision, exist_ok=True)


def _card(bundle: Path) -> str:
    try:
        return file_of(bundle, CARD).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{bundle / CARD} isn't text in UTF-8: export again") from error
