"""The denoisers of images, each in a process of its own, judged by PSNR and SSIM."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.store import Store
from benchmarks.tables.denoising.noisy import shown, written
from benchmarks.tables.denoising.running import OURS, told_by

SETS = ("MNIST", "Fashion-MNIST", "Set12", "BSD68")
METHODS = ("noisy", "wavelets", "total variation", "non-local means", "BM3D", OURS)
SECTION = "images"


class Looking:
    """Runs of denoisers of images, and where what they reach is stored."""

    def __init__(self, store: Store, folder: Path, bundles: dict[str, Path]) -> None:
        self.store, self.folder, self.bundles = store, folder, bundles

    def measure(self, sets: Sequence[str], methods: Sequence[str]) -> None:
        """Store what each method reaches on each set at each deviation."""
        for name, images in shown(Path(os.environ["VAE_MIRROR"])).items():
            if name not in sets:
                continue
            for deviation in images.deviations:
                place = self.folder / "parts.npz"
                written(images, deviation, place)
                for method in methods:
                    if method == OURS and name not in self.bundles:
                        continue
                    bundle = [self.bundles[name]] if method == OURS else []
                    (row,) = told_by(method, "denoise_images.py", method, place, *bundle)
                    rows = self.store.rows(SECTION)
                    of_set = rows.setdefault(name, {"images": len(images.test)})
                    of_set.setdefault(f"{deviation:.4g}", {})[method] = row
                    self.store.keep(SECTION, rows)
