"""The libraries that read scans, which are an extra, kept quiet: what they warn of holds fields of headers."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from vae_pipeline.system.errors import MissingError

LOGGERS = ("pydicom", "nibabel", "nibabel.global")


def medical(module: str) -> Any:
    """A module of pydicom or nibabel.

    Raises:
        MissingError: the package isn't installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingError(
            f"{'DICOM' if package == 'pydicom' else 'NIfTI'} files need the package {package}, which isn't installed: "
            "pip install 'vae-pipeline[medical]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Let the libraries say nothing within the block."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled
