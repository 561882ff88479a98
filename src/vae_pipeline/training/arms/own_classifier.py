"""A network of the user's own in the place of the study's small one."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_pipeline.metrics.classifier import Classifier
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.system.errors import RecipeError


class OwnClassifier(Classifier):
    """A module that gives the logits of images on [0, 1]."""

    def __init__(self, scaling: Scaling, net: nn.Module) -> None:
        super().__init__(scaling)
        self.net = net

    def logits(self, scaled: Tensor) -> Tensor:
        """Logits [batch, classes], of images [batch, channels, height, width] on [0, 1]."""
        logits: Tensor = self.net(scaled)
        return logits


def own_classifier(named: str) -> Callable[[tuple[int, int, int], int], nn.Module]:
    """The function or class that `FILE.py:NAME` names: of an image's shape and the number of classes, a module.

    Raises:
        RecipeError: the file isn't there, can't be run, or has nothing of that name that can be called.
    """
    path, _, name = named.rpartition(":")
    spec = importlib.util.spec_from_file_location("vae_pipeline_own_classifier", path)
    assert spec is not None and spec.loader is not None  # as a recipe has names that end in .py alone
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        raise RecipeError(f"study.classifier: {path} isn't there (it is sought from {Path.cwd()})") from error
    except Exception as error:  # whatever the file does
        raise RecipeError(f"study.classifier: {path} can't be run: {type(error).__name__}: {error}") from error
    made = getattr(module, name, None)
    if not callable(made):
        raise RecipeError(f"study.classifier: {path} has no function or class {name}")
    return made  # type: ignore[no-any-return]


def require_fits(named: str, shape: tuple[int, int, int], classes: int) -> None:
    """Make such a network once and ask it about two black images.

    Raises:
        RecipeError: it isn't a module, or its answer is no tensor of [2, classes].
    """
    try:
        net = own_classifier(named)(shape, classes)
        found = net.eval()(torch.zeros(2, *shape))
    except RecipeError:
        raise
    except Exception as error:  # whatever the network does
        raise RecipeError(
            f"study.classifier {named} can't be used on images of {list(shape)}: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(net, nn.Module) and isinstance(found, Tensor) and tuple(found.shape) == (2, classes)):
        what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise RecipeError(
            f"study.classifier {named} gives {what} for two images: a torch.nn.Module that gives logits "
            f"[images, {classes}] is wanted"
        )
