"""The audit of images: what those that were drawn, and a model's own bound, tell of who was trained on.

Training images are compared with as many held-out ones, which are the floor: what is found of them follows from the
population. Who has the samples alone goes by the distance of an image from the nearest one, in pixels or in features;
who has the model goes by how likely it finds the image. An image in pixels is its values on [0, 1], and a distance is
the root of the mean squared difference.

Source: Chen, Yu, Zhang and Fritz, GAN-Leaks, 2020, section 5.1 (samples alone) and 5.4 (the model as well).
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.features import Reference
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.metrics.membership import Groups, membership
from vae_pipeline.metrics.parts import subset
from vae_pipeline.metrics.samples import samples
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.recipe.figures import figures_of

KNOWN = 5_000  # images of either part, at most
LEAST = 30  # images of either part, of which shares say anything
DRAWS = 16  # of each image's bound
Array = npt.NDArray[Any]


class Pixels(Reference):
    """Images by their values on [0, 1], in the place of features."""

    @torch.inference_mode()
    def of_scaled(self, images: Tensor) -> Array:
        """Values [examples, values], as `in_pixels`."""
        return in_pixels(images)


def in_pixels(images: Tensor) -> Array:
    """Values [images, values], so scaled that a distance is the root of the mean squared difference."""
    flat = images.flatten(1)
    return (flat / math.sqrt(flat.shape[1])).cpu().numpy()


class Nearest:
    """The nearest of what is drawn, of each of some points; what is drawn comes in parts."""

    def __init__(self, points: Array) -> None:
        """Begin with points [points, values] and nothing drawn."""
        self.points, self._squares = points, (points**2).sum(1)
        self.distance = np.full(len(points), np.inf)
        self.nearest_to = np.zeros(len(points), np.int64)
        """The number of those drawn that have each point as their nearest."""

    def see(self, drawn: Array) -> None:
        """Take note of what was drawn, [drawn, values]."""
        squares = (drawn**2).sum(1)[:, None] + self._squares - 2 * drawn @ self.points.T
        self.nearest_to += np.bincount(squares.argmin(1), minlength=len(self.points))
        exact = np.linalg.norm(self.points - drawn[squares.argmin(0)], axis=1)  # what is expanded finds, no more
        self.distance = np.minimum(self.distance, exact)


def told_by_samples(
    members: Array,
    others: Array,
    drawn: Iterator[Array],
    space: str,
    of_members: Groups = None,
    of_others: Groups = None,
) -> dict[str, Any]:
    """The figures of drawn images, as points of a space, beside as many members as others.

    The standard error of the share that lies nearer to members is that of members drawn at random among both: a few
    points may be the nearest of most that is drawn. Points of one group go together.
    """
    points, count = Nearest(np.concatenate([members, others])), len(members)
    for part in drawn:
        points.see(part)
    share = points.nearest_to / points.nearest_to.sum()
    sides = [_by_group(each, groups) for each, groups in ((share[:count], of_members), (share[count:], of_others))]
    together = np.concatenate(sides)
    ways = len(sides[0]) * len(sides[1]) / (len(together) * (len(together) - 1))
    spread = ((together - together.mean()) ** 2).sum() * ways
    return {
        f"nearer_to_training_in_{space}": float(share[:count].sum()),
        f"nearer_to_training_in_{space}_standard_error": math.sqrt(spread),
        **membership(-points.distance[:count], -points.distance[count:], f"in_{space}", of_members, of_others),
    }


def _by_group(shares: Array, groups: Groups) -> Array:
    return shares if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], shares)


@torch.inference_mode()
def audit(model: VAE, prepared: Prepared, reference: Reference, seed: int) -> dict[str, Any]:
    """The figures of 10,000 samples and of the importance bound, and reasons for those that are left out."""
    if (reason := too_few(prepared)) is not None:
        return {"left_out": {figure.key: reason for figure in figures_of("privacy")}}
    drawn = partial(samples, model, prepared.train, derive(seed, "audited"))
    found = audit_drawn(drawn, prepared, reference, seed)
    device = next(model.parameters()).device
    members, others = compared(prepared, seed)
    near, far = (
        importance_bound(model, each, DRAWS, derive(seed, "audited"), device).bound for each in (members, others)
    )
    return _joined(found, membership(near, far, "by_loss", members.groups, others.groups))


@torch.inference_mode()
def audit_drawn(
    drawn: Callable[[], Iterator[Tensor]], prepared: Prepared, reference: Reference, seed: int
) -> dict[str, Any]:
    """The figures, in either space, of images on [0, 1] that come in parts; there are enough to compare them with."""
    members, others = compared(prepared, seed)
    groups = members.groups, others.groups
    found: dict[str, Any] = {"audited_images": len(members), "left_out": {}}
    if members.groups is not None and others.groups is not None:
        found["audited_groups"] = len(np.unique(members.groups)) + len(np.unique(others.groups))
    for space, of in spaces(reference).items():
        points = map(of.of_scaled, drawn())
        found = _joined(found, told_by_samples(of.of(members), of.of(others), points, space, *groups))
    return found


def spaces(reference: Reference) -> dict[str, Reference]:
    """The spaces in which images are compared, by their names."""
    return {"pixels": Pixels(**vars(reference)), "features": reference}


def too_few(prepared: Prepared) -> str | None:
    """The reason why training and test images can't be told apart; None where there are enough."""
    count = min(len(prepared.train), len(prepared.test))
    return (
        f"{count} training or test images are too few to be told apart: {LEAST} are wanted" if count < LEAST else None
    )


def compared(prepared: Prepared, seed: int) -> tuple[Split, Split]:
    """Draw as many training images as test images."""
    count = min(len(prepared.train), len(prepared.test), KNOWN)
    members, others = (subset(part, count, derive(seed, "audited")) for part in (prepared.train, prepared.test))
    return members, others


def _joined(found: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {**found, **more, "left_out": {**found["left_out"], **more.get("left_out", {})}}
