"""New images beside those that there are: of the sampler, around given ones, or between two of one class.

    prior           x = E[x|z], z of the sampler
    posterior       x = E[x|z], z = mean + spread * scale * e of q(z|x) of a given image, e ~ N(0, I)
    interpolation   x = E[x|z], z on the spherical path between the posterior means of two images of one class

An image depends on the seed and on its own index alone, however many are asked for at a time. Given images are
gone through in a drawn order, so that each is a source as often as any other, give or take one. The second image of a
pair and the place between the two are even draws.

A study's generator draws in torch, during training, and between two images on the straight line:
`training.arms.generator`.

Source: places between neighbours of a class: Chawla, Bowyer, Hall and Kegelmeyer, SMOTE, 2002; in a latent space:
Dablain, Krawczyk and Chawla, DeepSMOTE, 2022.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from vae_pipeline.runtime.graphs import Graphs
from vae_pipeline.runtime.inference import Encoding, encode
from vae_pipeline.runtime.paths import path_between
from vae_pipeline.runtime.samples import SampleStream
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
How = Literal["prior", "posterior", "interpolation"]
ORDER, NOISE = 2, 3
"""The streams of the seed: the order and pairs of sources, and the noise around them."""


class ImageRows(Protocol):
    """Images [images, channels, height, width] in the data's units: an array, or a file's rows."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> Array: ...


@dataclass(frozen=True)
class Sources:
    """Images that new ones are made of."""

    x: ImageRows
    labels: npt.NDArray[np.int64] | None = None
    """The class of each; None where all are of one, or none is known."""
    sha256: str | None = None
    """A digest of all of them, for those who want to know which they were."""


@dataclass(frozen=True)
class Augmented:
    """New images, and what each was made of."""

    x: Array
    """[images, channels, height, width], in the data's units."""
    labels: npt.NDArray[np.int64] | None
    """The class of each; None where none is known."""
    source: npt.NDArray[np.int64] | None = None
    """The row of the image that each was made of; None of those of the prior."""
    other: npt.NDArray[np.int64] | None = None
    """The row of the image at the other end of its path."""
    place: Array | None = None
    """The place on the path, from 0, which is `source`, to 1, which is `other`."""


class NewImages:
    """A stream of new images: the same however many are asked for at a time."""

    def __init__(
        self,
        of: Graphs,
        how: How,
        seed: int = 0,
        label: int | None = None,
        sources: Sources | None = None,
        spread: float = 1.0,
    ) -> None:
        """`label` is the class of all, which a conditional model needs; of `sources` those of it are taken.

        Raises:
            DataError: sources are missing, or given where none are taken; or none is of the class, of which a pair
                needs two; or the spread is negative or no number.
            BundleError: the model makes no images.
        """
        if how not in get_args(How):
            raise DataError(f"images are made by {', '.join(get_args(How))}; given {how!r}")
        if (sources is None) != (how == "prior"):
            wanted = "takes no images to begin with" if how == "prior" else "needs images to begin with"
            raise DataError(f"{how} {wanted}")
        if not (math.isfinite(spread) and spread >= 0):
            raise DataError(f"the spread of posterior draws is {spread}; wanted a number from 0")
        of.entry(GraphName.DECODER)
        self.of, self.how, self.label, self.sources, self.spread = of, how, label, sources, spread
        self._samples, self._noise = SampleStream(of, seed), np.random.default_rng((seed, NOISE))
        self._pairs = np.random.default_rng((seed, ORDER))
        self._order = np.zeros(0, np.int64) if sources is None else self._pairs.permutation(self._usable(sources))
        self._done = 0

    def __call__(self, count: int) -> Augmented:
        """The next `count` of them.

        Raises:
            DataError: less than one is wanted, or the model is conditional and no label was given.
        """
        if count < 1:
            raise DataError(f"at least 1 image is wanted; given {count}")
        if self.sources is None:
            x = self._samples(count, self._labels(count))
            return Augmented(x, self._classes(count))
        places = np.arange(self._done, self._done + count)
        self._done += count
        source = self._order[places % len(self._order)]
        if self.how == "posterior":
            return self._around(self.sources, source)
        return self._between(self.sources, source)

    def _around(self, sources: Sources, source: npt.NDArray[np.int64]) -> Augmented:
        q = self._encoded(sources, source)
        noise = self._noise.standard_normal(q.mean.shape, np.float32)
        z = q.mean + np.float32(self.spread) * np.exp(q.log_variance / 2) * noise
        return Augmented(self._decoded(z), self._classes(len(z), source), source)

    def _between(self, sources: Sources, source: npt.NDArray[np.int64]) -> Augmented:
        drawn = self._pairs.random((len(source), 2))
        other = np.array([self._partner(at, share) for at, share in zip(source, drawn[:, 0], strict=True)])
        ends = self._encoded(sources, source).mean, self._encoded(sources, other).mean
        z = [
            path_between(start, end, place, "spherical") for start, end, place in zip(*ends, drawn[:, 1:], strict=True)
        ]
        return Augmented(
            self._decoded(np.concatenate(z)), self._classes(len(source), source), source, other, drawn[:, 1]
        )

    def _partner(self, at: int, share: float) -> int:
        """Another image of the same class; each is as likely."""
        same = self._members[self._class_of(at)]
        place = int(share * (len(same) - 1))
        return int(same[place + (place >= np.searchsorted(same, at))])

    def _usable(self, sources: Sources) -> npt.NDArray[np.int64]:
        """The rows that may be sources."""
        rows = np.arange(len(sources.x))
        if self.label is not None and sources.labels is not None:
            rows = rows[sources.labels == self.label]
        least, noun = (2, "two images") if self.how == "interpolation" else (1, "an image")
        classes = np.zeros(len(rows), np.int64) if sources.labels is None else sources.labels[rows]
        self._members = {int(each): rows[classes == each] for each in np.unique(classes)}
        enough = [same for same in self._members.values() if len(same) >= least]
        if not enough:
            of = "" if sources.labels is None else " of one class" if self.label is None else f" of label {self.label}"
            raise DataError(f"{self.how} needs {noun}{of} at least; {len(rows)} of those that were given can be used")
        return np.sort(np.concatenate(enough))

    def _class_of(self, at: int) -> int:
        labels = None if self.sources is None else self.sources.labels
        return 0 if labels is None else int(labels[at])

    def _encoded(self, sources: Sources, rows: npt.NDArray[np.int64]) -> Encoding:
        return encode(self.of, sources.x[rows], self._labels(len(rows)))

    def _decoded(self, z: Array) -> Array:
        return self.of.spec.natural(self.of.rows(GraphName.DECODER, {"z": z}, self._labels(len(z)))[0])

    def _labels(self, count: int) -> list[int] | None:
        return None if self.label is None else [self.label] * count

    def _classes(self, count: int, source: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64] | None:
        if self.label is not None:
            return np.full(count, self.label)
        known = None if self.sources is None else self.sources.labels
        return None if known is None or source is None else known[source]
