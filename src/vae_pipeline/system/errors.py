"""Errors that the person at the terminal can put right.

    VaeError
    ├── RecipeError       a recipe that can't be read, or doesn't validate
    ├── SettingsError     a VAE_* variable or .env entry that doesn't validate
    ├── DataError         a source or prepared data that can't be used
    │   ├── CorruptFileError a picture or a recording that is truncated or corrupt
    │   ├── DownloadError a file that can't be fetched, or has another checksum
    │   └── InputError    what an estimator was given can't be used; it is a ValueError, as scikit-learn wants it
    ├── WeightsError      weights that aren't ours, or don't fit the recipe
    ├── BundleError       an exported bundle that can't be used
    ├── ExportError       a model that can't be written as a graph
    ├── OutputError       a folder or file that can't be written
    ├── WorkerError       a process that did a share of the work was ended from outside
    ├── TrainingError     a run that can't go on (a non-finite loss)
    ├── GateError         a metric outside the bounds that the recipe set
    ├── DriftError        data that are no longer what a bundle was calibrated on
    ├── ParityError       a graph that answers otherwise than the model
    ├── ConformanceError  a runtime that doesn't answer as the bundle's golden answers say
    ├── TrackerError      a request to MLflow, asked for by a command of its own, that it didn't take
    ├── MissingError      a package or program that isn't installed
    ├── MixedError        vae-pipeline and vae-pipeline-runtime installed together, of two versions
    └── Interrupted       SIGINT or SIGTERM; a checkpoint was written

The message says what was given, what was wanted and what to do next. The CLI prints it on one line and
exits with `exit_code`: 2 for a user's mistake, 1 for a run that ended badly, 130 for an interruption.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from vae_pipeline.system.redaction import redacted

DISTRIBUTIONS = {"PIL": "pillow", "dotenv": "python-dotenv", "sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Packages that are installed by another name than they are imported by."""
LOST = "lost another one"
"""The words by which one of several processes says that the cause of its end lies with another."""


def lacking(error: ModuleNotFoundError) -> str:
    """Say in one line what to install; a module of our own that should be there is raised again."""
    package = (error.name or "").partition(".")[0]
    if package == "vae_pipeline" and find_spec("vae_pipeline.stages") is None:
        return (
            "vae-pipeline-runtime is installed, which has what uses a bundle and not this: pip uninstall "
            "vae-pipeline-runtime, then pip install vae-pipeline"
        )
    if package in ("", "vae_pipeline"):
        raise error
    name = DISTRIBUTIONS.get(package, package.replace("_", "-"))
    return (
        f"the package {name} is needed and isn't installed: pip install {name}; all that commands on a bundle need: "
        "pip install 'vae-pipeline-runtime[cli]'"
    )


def out_of_memory(error: MemoryError | RuntimeError) -> str | None:
    """Say in one line that memory ran out; None if the error is of something else, as torch's RuntimeError may be."""
    text = str(error)
    if isinstance(error, RuntimeError) and "memory" not in text:
        return None
    return f"out of memory ({text.splitlines()[0] if text else 'an array'}): make it smaller"


def no_such_kernel(error: Exception) -> str | None:
    """Say in one line which kernel isn't deterministic; None if the error is of something else."""
    operation, said, _ = str(error).partition(" does not have a deterministic implementation")
    if not said:
        return None
    return f"VAE_DETERMINISTIC=on: torch has no deterministic kernel of {operation} on this device: set it to auto"


class VaeError(Exception):
    """Root of the tree; its message shows no secret of an address."""

    exit_code = 2
    found: Sequence[Mapping[str, object]] = ()
    """The answers that a command found all the same, for `--json` to print."""

    def __str__(self) -> str:
        return redacted(super().__str__())


class RecipeError(VaeError):
    """A recipe can't be read, or doesn't validate."""


class SettingsError(VaeError):
    """A setting doesn't validate."""


class DataError(VaeError):
    """A source, or prepared data, can't be used."""


class CorruptFileError(DataError):
    """A picture or a recording is truncated or corrupt."""


class DownloadError(DataError):
    """A file can't be fetched, or has another checksum."""


class InputError(DataError, ValueError):
    """An estimator's data, parameter or recipe can't be used."""


class WeightsError(VaeError):
    """Weights aren't ours, or don't fit the recipe."""


class BundleError(VaeError):
    """An exported bundle can't be used."""


class ExportError(VaeError):
    """A model can't be written as a graph."""


class OutputError(VaeError):
    """A folder or file can't be written."""


class WorkerError(VaeError):
    """A process that did a share of the work was ended from outside."""

    exit_code = 1


class TrainingError(VaeError):
    """A run can't go on."""

    exit_code = 1


class GateError(VaeError):
    """A metric lies outside the bounds that the recipe set."""

    exit_code = 1


class DriftError(VaeError):
    """Data are no longer what a bundle was calibrated on."""

    exit_code = 1


class ParityError(VaeError):
    """An exported graph answers otherwise than the model."""

    exit_code = 1


class ConformanceError(VaeError):
    """A runtime doesn't answer as the bundle's golden answers say."""

    exit_code = 1


class TrackerError(VaeError):
    """MLflow didn't take what a command of its own was to send."""

    exit_code = 1


class MissingError(VaeError):
    """A package or program isn't installed."""


class MixedError(VaeError, ImportError):
    """Two distributions of this package are installed together, of two versions."""


class Interrupted(VaeError):  # noqa: N818 (it is no error)
    """SIGINT or SIGTERM."""

    exit_code = 130
