"""Settings: where a stage runs and how fast. None of them is part of what is learned: they can
change the last bits of a sum (threads, device), and nothing else.

What changes numbers is the recipe's alone, so that no environment variable can alter an experiment
behind DVC's back.
"""

import difflib
import os
import urllib.parse
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.redaction import require_encoded


def _root() -> Path:
    # DVC_ROOT names the main repository even inside a temporary experiment.
    return Path(os.environ.get("DVC_ROOT", ".")).absolute()


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite file; in a plain one `%`, `?` and `#` of a folder's name would have a meaning."""
    return "sqlite:///" + urllib.parse.quote(str(path), safe="/ :@&=+$,;!~*'()")


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite address; None if it is another one."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(urllib.parse.unquote(uri.removeprefix("sqlite:///").partition("?")[0]))


class Settings(BaseSettings):
    """`VAE_*` environment variables, or the same names in `.env` beside the repository's root; empty is unset."""

    model_config = SettingsConfigDict(env_prefix="VAE_", env_ignore_empty=True, extra="ignore", frozen=True)

    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?|mps)$", description="auto, cpu, cuda, cuda:N or mps"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads of torch; all cores if not set")
    mirror: str | None = Field(
        None, description="folder or URL that is searched for a data file before its canonical address; none if not set"
    )
    home: Path = Field(
        default_factory=lambda: _root() / ".vae",
        description="checkpoints, downloads, half-prepared data, tracking journal; `.vae` beside `dvc.yaml` if not set",
    )
    processes: int = Field(1, ge=1, le=1024, description="processes on this machine that train one model together")
    prepare_processes: int = Field(
        1,
        ge=1,
        le=1024,
        description="processes that read the pictures, recordings or scans of one data set together, in `prepare`",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", description="torch.compile of the training step; `auto`: on a GPU, for 20,000 steps or more"
    )
    cuda_graph: Literal["auto", "on", "off"] = Field(
        "auto", description="replay the training step as a CUDA graph; `auto`: where it can be captured"
    )
    deterministic: Literal["auto", "on", "off"] = Field(
        "auto",
        description="kernels of a GPU that give the same bits each time; `auto`: where there is one, `on`: or an "
        "error, `off`: the fastest",
    )
    resident_gib: float = Field(
        2.0, ge=0, description="training data up to this size lie on the device; larger are read as they are used"
    )
    checkpoint_s: float = Field(
        10.0, gt=0, description="seconds between checkpoints; more where writing them would cost over 2 % of the time"
    )
    mlflow_uri: str = Field(
        default_factory=lambda: sqlite_uri(_root() / "mlflow.db"),
        description="MLflow's tracking URI; `off` records nothing; `mlflow.db` beside `dvc.yaml` if not set",
    )
    mlflow_wait_s: float = Field(
        20.0, gt=0, le=86400, description="seconds that a stage, or `sync` for each record, waits for MLflow at most"
    )
    mlflow_artifacts: str | None = Field(
        None, description="artifact location of a new experiment; `mlartifacts` beside mlflow.db if not set"
    )
    mlflow_experiment: str = Field("vae-pipeline", min_length=1, description="MLflow experiment")
    mlflow_registry: Literal["auto", "on", "off"] = Field(
        "auto", description="register exported models under their recipe's name; `auto`: where MLflow is a server"
    )
    mlflow_promote: str | None = Field(
        None,
        pattern=r"^[A-Za-z_-]+$",
        description="alias, such as champion, that moves to a registered model whose gates hold; none if not set",
    )

    @field_validator("mirror", "mlflow_uri")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and value.startswith(("http://", "https://")):
            require_encoded(value)
            parts = urllib.parse.urlsplit(value)
            try:
                parts.port  # noqa: B018 (the property checks)
            except ValueError as error:
                raise ValueError("it isn't a URL: its port is no number") from error
            if not parts.hostname:
                raise ValueError("it is a URL without a host")
        return value

    @property
    def registers(self) -> bool:
        """True if exported models are registered."""
        if self.mlflow_registry == "auto":
            return self.mlflow_uri.startswith(("http://", "https://", "databricks"))
        return self.mlflow_registry == "on"

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment and `.env`.

        Raises:
            SettingsError: a value doesn't validate.
        """
        env_file = _root() / ".env"
        try:
            _refuse_unknown(cls, env_file)
            return cls(_env_file=env_file)
        except UnicodeDecodeError as error:
            raise SettingsError(f"{env_file} isn't text in UTF-8 ({error})") from error
        except ValidationError as error:
            first = error.errors()[0]
            name = "VAE_" + "_".join(str(part) for part in first["loc"]).upper()
            wanted = cls.model_fields[str(first["loc"][0])].description
            raise SettingsError(
                f"{name}={first['input']!r}: {first['msg'].removeprefix('Value error, ')}; wanted: {wanted}"
            ) from error


def _refuse_unknown(settings: type[Settings], env_file: Path) -> None:
    """A misspelt name would be passed over in silence."""
    valid = [f"VAE_{name.upper()}" for name in settings.model_fields]
    for name in [*os.environ, *dotenv_values(env_file)]:
        if name.upper().startswith("VAE_") and name.upper() not in valid:
            near = difflib.get_close_matches(name.upper(), valid, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(f"{name} is no setting; {hint}valid ones: {', '.join(valid)}")
