import os
from pathlib import Path

import pytest

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.settings import Settings, sqlite_path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("VAE_") or name == "DVC_ROOT":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults(tmp_path: Path) -> None:
    settings = Settings.load()
    assert settings.device == "auto"
    assert settings.threads is None
    assert settings.mirror is None
    assert settings.home == tmp_path / ".vae"
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_dvc_root_holds_home_and_mlflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    settings = Settings.load()
    assert settings.home == tmp_path / "main" / ".vae"
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/main/mlflow.db"


@pytest.mark.parametrize("name", ["p%20q", "p?q", "p#q", "p%q", "a b&c=d", "ü"])
def test_the_default_database_lies_in_the_folder_whatever_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / name))
    uri = Settings.load().mlflow_uri
    assert sqlite_path(uri) == tmp_path / name / "mlflow.db"
    url = pytest.importorskip("sqlalchemy").engine.make_url(uri)  # what MLflow reads it with
    assert url.database == str(tmp_path / name / "mlflow.db")
    assert not url.query


@pytest.mark.parametrize(
    "address",
    [
        "http://joe:s3cret/x@host/x",
        "https://joe:s3cret#@host",
        "http://joe:12/s3cret@host",
        "http://:80/x",
    ],
)
@pytest.mark.parametrize("name", ["VAE_MIRROR", "VAE_MLFLOW_URI"])
def test_what_is_no_address_is_refused_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(SettingsError, match=rf"{name}='.*: it is(n't)? a URL") as caught:
        Settings.load()
    assert "s3cret" not in str(caught.value)


def test_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VAE_DEVICE=cpu\nVAE_THREADS=2\nOTHER=1\n")
    monkeypatch.setenv("VAE_THREADS", "3")
    settings = Settings.load()
    assert (settings.device, settings.threads) == ("cpu", 3)


@pytest.mark.parametrize("name", ["VAE_MIRROR", "VAE_THREADS", "VAE_MLFLOW_ARTIFACTS", "VAE_MLFLOW_PROMOTE"])
def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    assert getattr(Settings.load(), name.removeprefix("VAE_").lower()) is None


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setenv("VAE_DEVICE", device)
    assert Settings.load().device == device


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("VAE_DEVICE", "gpu", "auto, cpu, cuda, cuda:N or mps"),
        ("VAE_DEVICE", "cuda:", "auto, cpu, cuda, cuda:N or mps"),
        ("VAE_THREADS", "0", "CPU threads"),
        ("VAE_THREADS", "many", "CPU threads"),
        ("VAE_MLFLOW_REGISTRY", "digits", "register exported models"),
        ("VAE_MLFLOW_PROMOTE", "v1", "alias, such as champion"),
        ("VAE_CHECKPOINT_S", "0", "seconds between checkpoints"),
        ("VAE_CHECKPOINT_S", "nan", "seconds between checkpoints"),
    ],
)
def test_bad_value_names_variable_value_and_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    text = str(caught.value)
    assert text.startswith(f"{name}='{value}': ")
    assert f"wanted: {wanted}" in text


def test_empty_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VAE_HOME", "VAE_MLFLOW_EXPERIMENT", "VAE_DEVICE"):
        monkeypatch.setenv(name, "")
    settings = Settings.load()
    assert (settings.home, settings.mlflow_experiment, settings.device) == (tmp_path / ".vae", "vae-pipeline", "auto")


def test_a_misspelt_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_DEVCE", "cpu")
    with pytest.raises(SettingsError, match=r"VAE_DEVCE is no setting; did you mean VAE_DEVICE\? valid ones: VAE_"):
        Settings.load()
    monkeypatch.delenv("VAE_DEVCE")
    (tmp_path / ".env").write_text("VAE_MIROR=/data\n")
    with pytest.raises(SettingsError, match=r"VAE_MIROR is no setting; did you mean VAE_MIRROR"):
        Settings.load()


def test_env_file_lies_at_the_root_even_in_a_temporary_experiment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / ".env").write_text("VAE_THREADS=3\n")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert Settings.load().threads == 3
