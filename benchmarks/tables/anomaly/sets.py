"""The sets of the table, and how each is split: no row is resampled."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer

from vae_pipeline.kinds.download import Finder
from vae_pipeline.recipe.data import File
from vae_pipeline.system.settings import Settings

ADDRESS = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical"
ADBENCH = {
    "38_thyroid": "8de161b3f235b7647bb0b39a836d983ff61d67bf234edac461da2d71e889cb87",
    "6_cardio": "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d",
    "32_shuttle": "26900b0f6be45d9ddb7a402c9b2f956ceda42d23a8ca4cf4406b8bc1352823d1",
    "30_satellite": "1f048f5686f1b8c16a227fdfa3c81a62cd9a92715714a6b24c69b1c5ad96b46e",
    "28_pendigits": "c4936b89dcdad59d303020e492f763a0f54170080d787c77497609acbb9c2d79",
    "5_campaign": "74dd4d0072d6c6f1aabab63bc102f9633454f32bb936fa9bcfbd38f9f2386bcd",
    "10_cover": "945a097c3542ae81a551bf1c06dcad78a755d94f84fcaf1d60687e42d1a656df",
    "11_donors": "5824ec854465f2763b4bfe3da1ae9f25ed5433b5c6e265d42e37da4f82a58679",
}
Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Table = tuple[Array, Flags]
"""Rows, and which of them are anomalies."""
Read = Callable[[], Table]


def shipped() -> dict[str, Read]:
    """Eight of ADBench's sets, payments by credit card, tumours."""
    settings = Settings.load()
    finder = Finder(settings.home / "downloads", settings.mirror)
    files = {
        name: File(path=None, url=f"{ADDRESS}/{name}.npz", digest=f"sha256:{has}") for name, has in ADBENCH.items()
    }
    tables: dict[str, Read] = {name: partial(adbench, finder, file) for name, file in files.items()}
    return tables | {"fraud": partial(fraud, settings.mirror), "tumours": tumours}


def adbench(finder: Finder, file: File) -> Table:
    return npz(finder.find(file))


def npz(path: Path) -> Table:
    with np.load(path) as archive:
        return archive["X"].astype(np.float64), archive["y"] == 1


def fraud(mirror: str | None) -> Table:
    """All 492 frauds among 11,632 payments, a part of the whole set; Time is left out."""
    found = [] if mirror is None else sorted(Path(mirror).rglob("creditcard_partial.npz"))
    if not found:
        raise SystemExit("creditcard_partial.npz isn't in the folder that VAE_MIRROR names: name other sets by --only")
    rows, anomalous = npz(found[0])
    return rows[:, 1:], anomalous


def tumours() -> Table:
    bunch = load_breast_cancer()
    return bunch.data, bunch.target == 0


def made(rows: int) -> tuple[Array, Array, Flags]:
    """Rows to fit and to score, of 30 columns in four clusters; 5 % of the latter lie 1.5 times as far out."""
    random = np.random.default_rng(0)
    centres, causes = random.normal(0, 2, (4, 30)), random.normal(0, 1, (4, 30, 5))
    cluster = random.integers(0, 4, 2 * rows)
    around = np.einsum("rcf,rf->rc", causes[cluster], random.normal(size=(2 * rows, 5)))
    around += random.normal(0, 0.3, around.shape)
    anomalous = np.arange(rows) < rows // 20
    around[rows:][anomalous] *= 1.5
    drawn = centres[cluster] + around
    return drawn[:rows], drawn[rows:], anomalous


def split(anomalous: Flags, seed: int, kind: str = "detection") -> tuple[Indices, Indices]:
    """The training and the test part."""
    random = np.random.default_rng(seed)
    if kind == "contaminated":
        order = random.permutation(len(anomalous))
        return order[: len(order) // 2], order[len(order) // 2 :]
    normal = random.permutation(np.flatnonzero(~anomalous))
    half = len(normal) // 2
    test = random.permutation(np.concatenate([normal[half:], np.flatnonzero(anomalous)]))
    return normal[:half], test
