"""export --layout diffusers: a trained model to a folder that diffusers' AutoencoderKL.from_pretrained loads."""

from pathlib import Path

import yaml

from vae_pipeline.bundles.export.card import model_card
from vae_pipeline.bundles.hub.card import licence
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.diffusers.config import CLASS, Config
from vae_pipeline.models.diffusers.weights import WEIGHTS, write
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.stages.export import read_metrics, read_page
from vae_pipeline.stages.job import Job
from vae_pipeline.system.errors import DataError, ExportError
from vae_pipeline.system.files import content_key, filled_folder, replace_file, require_writable, write_json
from vae_pipeline.system.typed_json import typed
from vae_pipeline.system.version import __version__
from vae_pipeline.training.trained import Trained

ORIGIN = "vae_pipeline.json"


def export_diffusers(job: Job, data: Path, model: Path, report: Path, out: Path) -> float:
    """Fill `out` with config.json, weights, README.md and vae_pipeline.json; the answer is the scale factor.

    Raises:
        DataError, WeightsError: an input isn't what an earlier stage wrote.
        ExportError: diffusers has no such model; names what it lacks.
        OutputError: `out` can't be written.
    """
    require_writable(out, data, model, report)
    prepared, trained = Prepared.open(data), Trained.load(model)
    metrics = read_metrics(report)
    read_page(report, trained.weights_sha256)
    spec = trained.spec
    if prepared.spec != spec:
        raise DataError(f"{model} was trained on data of another spec than {data}: prepare and train again")
    if not isinstance(spec, ImageSpec):
        raise ExportError(f"{CLASS} of diffusers has images alone, and the data are of kind {spec.kind}")
    Config.of(trained.recipe.model, spec)  # refuses what has no map, and so no spread in the report
    if "latent_map" not in metrics:
        raise DataError(f"{report} has no latent_map, the spread of the latents: run `vae-pipeline eval` again")
    told = typed(LatentMapEntry, metrics["latent_map"])
    with filled_folder(out) as folder:
        write(folder, trained.model, trained.recipe.model, spec, told.scale_factor)
        write_json(
            folder / ORIGIN,
            {
                "version": __version__,
                "recipe": job.name,
                "recipe_sha256": content_key(trained.recipe.model_dump(mode="json")),
                "data_sha256": prepared.digest(),
                "weights_sha256": trained.weights_sha256,
                "licence": job.recipe.export.licence,
                "range": [spec.low, spec.high],
                "latent_map": metrics["latent_map"],
            },
        )
        card = model_card(
            job.name,
            trained.recipe,
            job.recipe.export,
            spec,
            prepared.card,
            metrics,
            trained.weights_sha256,
            _use(spec, told),
        )
        replace_file(folder / "README.md", (_head(job.recipe.export.licence) + card).encode())
    if metrics["failed_gates"]:
        job.warn(f"{job.name}: the model fails its gates ({', '.join(metrics['failed_gates'])}), as its card says")
    return told.scale_factor


def _head(said: str) -> str:
    """The fields by which the Hub finds a model."""
    fields = {**licence(said), "library_name": "diffusers", "tags": ["vae", "autoencoder-kl"]}
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---\n\n"


def _use(spec: ImageSpec, told: LatentMapEntry) -> str:
    return f"""## In diffusers

```python
from diffusers import AutoencoderKL

vae = AutoencoderKL.from_pretrained("this folder")
latents = vae.encode(images).latent_dist.sample() * vae.config.scaling_factor
images = vae.decode(latents / vae.config.scaling_factor).sample
```

Images are on [-1, 1]: raw values of {spec.low:g} are -1, of {spec.high:g} are 1. `scaling_factor` is \
{told.scale_factor:.6g}, 1 / the standard deviation of all numbers of a draw of q(z|x), over {told.images:,} training \
images: scaled latents have a deviation of 1. `{WEIGHTS}` and `config.json` are what diffusers reads; `{ORIGIN}` says \
where they come from.
"""
