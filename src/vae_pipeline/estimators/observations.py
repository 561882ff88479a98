"""Observations between the form that a person has them in and the rows that a model takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from vae_pipeline.estimators import images, tables
from vae_pipeline.estimators.given import are_images, are_sentences, is_path
from vae_pipeline.kinds.observations import read_observations
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.recipe.data import Data, FolderData
from vae_pipeline.runtime.inputs import checked_observations
from vae_pipeline.system.errors import InputError

Array = npt.NDArray[Any]


def rows_of(estimator: BaseEstimator, X: Any, spec: DataSpec, layout: images.Layout, data: Data) -> Array:  # noqa: N803
    """[n, *event] of the model's dtype, of all that `fit` takes; pictures are brought to size as `data` says.

    Raises:
        ValueError, DataError: they aren't of the kind that was learned, or can't be used.
    """
    match spec:
        case TextSpec():
            return _tokens(X, spec)
        case ImageSpec() if is_path(X):
            resize = data.fit if isinstance(data, FolderData) else "none"
            return checked(read_observations([Path(X)], spec, None, resize), spec)
        case ImageSpec():
            if not are_images(X):
                raise InputError(f"{_said(X)} was given; this model takes images, [n, *{list(spec.event_shape)}]")
            return checked(images.fitting(np.asarray(X), spec, layout), spec)
        case AudioSpec() | TableSpec() if is_path(X):
            return checked(read_observations([Path(X)], spec, None, "none"), spec)
        case AudioSpec():
            recordings = np.asarray(X)
            if spec.channels == 1 and recordings.ndim == len(spec.event_shape):
                recordings = recordings[:, None]
            return checked(recordings, spec)
        case TableSpec() if not hasattr(estimator, "n_features_in_"):  # fitted to a file, whose columns have names
            return checked_observations(X, spec)
        case TableSpec():
            frame = tables.frame_of(estimator, X, reset=False, least=1)
            return checked(tables.values_of(frame, spec.columns), spec)
        case _:
            assert_never(spec)


def _tokens(X: Any, spec: TextSpec) -> Array:  # noqa: N803
    # tokenizers costs only those who have text
    from vae_pipeline.kinds.text.inputs import read_sentences  # noqa: PLC0415
    from vae_pipeline.kinds.text.tokens import Tokens  # noqa: PLC0415

    if is_path(X):
        return read_sentences([Path(X)], Tokens.of(spec), None).x
    if not are_sentences(X):
        raise InputError(f"{_said(X)} was given; this model takes a list of sentences")
    return Tokens.of(spec).observations([str(line) for line in X])


def given_back(x: Array, spec: DataSpec, layout: images.Layout, names: Mapping[str, int] | None) -> Any:
    """A model's answer in the data's units: ImageArray, rows of a table, or a list of texts."""
    match spec:
        case ImageSpec():
            return images.given_back(x, spec, layout)
        case AudioSpec():
            return x
        case TableSpec():
            return tables.given_back(x, spec, names)
        case TextSpec():
            from vae_pipeline.kinds.text.tokens import Tokens  # noqa: PLC0415 (tokenizers costs only those with text)

            return Tokens.of(spec).text(x)
        case _:
            assert_never(spec)


def pair(a: Any, b: Any) -> Any:
    """Two observations as rows that a model takes: images, rows, or sentences."""
    if isinstance(a, str):
        return [a, b]
    if isinstance(a, pd.DataFrame | pd.Series):
        rows = [row if isinstance(row, pd.DataFrame) else row.to_frame().T.infer_objects() for row in (a, b)]
        return pd.concat(rows, ignore_index=True)
    return np.stack([a, b])


def _said(X: Any) -> str:  # noqa: N803
    shape = getattr(X, "shape", None)
    return f"a {type(X).__name__}" + ("" if shape is None else f" of shape {list(shape)}")
