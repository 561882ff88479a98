"""Data that an estimator is given, in memory or by a path, as a source and the section of a recipe that names it."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import TypeAdapter
from sklearn.base import BaseEstimator

from vae_pipeline.estimators import images, tables
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import AudioSource, ImageSource, Part, Source, TableSource, TextSource
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.table.repeats import duplicates_of
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import ArraysData, Data, DrawnSentencesData, TableData, TextData
from vae_pipeline.scaffold.facts import Facts, ImageFacts, TableFacts
from vae_pipeline.scaffold.looking.arrays import range_of
from vae_pipeline.scaffold.looking.found import Places, fractions
from vae_pipeline.scaffold.looking.lines import look_at_sentences
from vae_pipeline.scaffold.looking.look import look
from vae_pipeline.system.errors import InputError

Array = npt.NDArray[Any]
LEAST = 4  # rows, so that each part gets one
PICTURE, STACK = 2, 3  # axes of an image, without channels and with them


@dataclass(frozen=True)
class Given:
    """Data to fit a model to."""

    source: Source
    data: Mapping[str, Any]
    """The section `data` of a recipe; where the data came from memory, no file that it names is there yet."""
    facts: Facts | None
    """The facts by which a model is suggested; None for the data of a recipe, which has one."""
    layout: images.Layout = "chw"
    """The axes of an image that is given back."""
    classes: Array | None = None
    """The labels that 0, 1, ... stand for, as they were given; None where there are none."""
    names: Mapping[str, int] | None = field(default_factory=dict)
    """The whole numbers that name columns of a DataFrame, by the texts that stand for them; None of an array."""
    told: tuple[str, ...] = ()
    """Findings on a table: what was left out, or read in one way of several, a sentence each."""


def is_path(X: object) -> bool:  # noqa: N803
    """True of a path, as a text or an object."""
    return isinstance(X, str | Path)


def are_sentences(X: Any) -> bool:  # noqa: N803
    """True of a list, a series or an array of texts."""
    listed = isinstance(X, list | tuple | pd.Series) or (isinstance(X, np.ndarray) and X.ndim == 1)
    return listed and len(X) > 0 and isinstance(X.iloc[0] if isinstance(X, pd.Series) else X[0], str)


def are_images(X: Any) -> bool:  # noqa: N803
    """True of an array of three or four axes, or a list of images of two or three."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and getattr(X[0], "ndim", 0) in (PICTURE, STACK)
    return getattr(X, "ndim", 0) in (PICTURE + 1, STACK + 1)


def of_recipe(recipe: Recipe, finder: Finder, seed: int) -> Given:
    """The data that a recipe names.

    Raises:
        DataError: they can't be had, or can't be used.
    """
    source = open_source(recipe.data, finder, seed)
    return Given(source, recipe.data.model_dump(mode="json"), None, classes=_names(source))


def of_path(path: Path, columns: Mapping[str, Any], csv: Mapping[str, Any], finder: Finder, seed: int) -> Given:
    """The data of a folder or a file, found out as `vae-pipeline init` does; `columns` and `csv` are told of a table.

    Raises:
        DataError: nothing is there, or it is of no known kind, or can't be used.
    """
    found = look(path, Places(Path.cwd()), columns=columns, csv=csv)
    values = dict(found.data)
    data: Data = TypeAdapter(Data).validate_python(values)
    source = open_source(data, finder, seed)
    if isinstance(source, TableSource) and source.labels is not None and source.labels.any():
        warnings.warn(
            f"{path}: {source.labels.sum():,} rows aren't trained on, since their y isn't 0, which makes them "
            "anomalies; to learn from all rows give the array X itself",
            UserWarning,
            stacklevel=4,
        )
    return Given(source, values, found.facts, classes=_names(source), told=tuple(found.decided))


def of_memory(
    estimator: BaseEstimator, X: Any, y: Any, recipe: Recipe | None, columns: Mapping[str, Any]  # noqa: N803
) -> Given:  # fmt: skip
    """Images, sentences, or rows of a table; `y` are labels of images. The recipe says how they are divided and read.

    Raises:
        ValueError, DataError: they can't be used.
    """
    if are_images(X):
        return _images(np.asarray(X), y, recipe)
    if are_sentences(X):
        return _sentences([str(line) for line in X], recipe)
    axes = getattr(X, "ndim", 0)
    if axes > STACK + 1:
        raise InputError(f"X has {axes} axes; rows of a table have 2, and images 3 or 4: reshape it")
    frame = tables.frame_of(estimator, X, reset=True, least=LEAST)
    given = _rows(frame, recipe, columns)
    if not isinstance(X, pd.DataFrame):
        return replace(given, names=None)
    own = zip(frame.columns, X.columns.tolist(), strict=True)
    return replace(given, names={text: name for text, name in own if isinstance(name, int)})


def _images(X: Array, y: Any, recipe: Recipe | None) -> Given:  # noqa: N803
    layout = images.layout_of(X)
    x = images.arranged(X, layout)
    if not len(x):
        raise InputError("X holds no images")
    labels, classes = _labels(y, len(x))
    told = recipe.data if recipe is not None and isinstance(recipe.data, ArraysData) else None
    low, high = range_of([x], "X") if told is None else told.range
    data = {
        "kind": "arrays",
        "shape": list(x.shape[1:]),
        "range": [low, high],
        "train": {"images": {"path": "X.npy"}, "labels": None if labels is None else {"path": "y.npy"}},
        **_division(recipe, len(x)),
    }
    section = ArraysData.model_validate(data)
    source = ImageSource(
        shape=section.shape,
        dtype=str(x.dtype),
        low=low,
        high=high,
        classes=() if classes is None else tuple(map(str, classes)),
        train=Part(x, labels),
        valid=section.valid,  # type: ignore[arg-type]
        test=section.test,  # type: ignore[arg-type]
        origins={"X": _digest(x.tobytes())},
        split=section.split,
    )
    binary = bool(((x == low) | (x == high)).all())
    dtype = "uint8" if x.dtype == np.uint8 else "float32"
    facts = ImageFacts(len(x), section.shape, dtype, (low, high), binary, 0 if classes is None else len(classes))  # type: ignore[arg-type]
    return Given(source, data, facts, layout, classes)


def _rows(frame: pd.DataFrame, recipe: Recipe | None, columns: Mapping[str, Any]) -> Given:
    told = None if recipe is None else recipe.data
    if isinstance(told, TableData):
        columns = {name: kind for name, kind in told.columns.items() if name in frame.columns} | dict(columns)
    if tables.all_numbers(frame):  # an array holds what it holds: a column that counts is no index
        columns = dict.fromkeys(frame.columns, "number") | dict(columns)
    outlines = tables.outlines_of(frame, columns)
    codes = (
        {each.name: (code, each.code_kind()) for each in outlines if (code := each.code())} if recipe is None else {}
    )
    if codes:
        columns = dict(columns) | {name: kind for name, (_, kind) in codes.items()}
        outlines = tables.outlines_of(frame, columns)
    left_out = {outline.name: reason for outline in outlines if (reason := outline.left_out())}
    kept = [outline for outline in outlines if outline.name not in left_out]
    if not kept:
        tables.refuse_all_left_out(left_out)
    known = [outline.column() for outline in kept]
    division = _division(recipe, len(frame))
    if recipe is None:
        division["split"]["duplicates"] = duplicates_of(frame[[column.name for column in known]])
    data = {
        "kind": "table",
        "file": {"path": "X.parquet"},
        "label": None,
        "columns": dict(columns),
        "scaling": getattr(told, "scaling", "standard"),
        "counts": getattr(told, "counts", None),
        "one_class": False,
        **division,
    }
    section = TableData.model_validate(data)
    source = TableSource(
        columns=tuple(known),
        rows=tables.values_of(frame, known),
        labels=None,
        scaling=section.scaling,
        counts=section.counts,
        one_class=False,
        valid=section.valid,
        test=section.test,
        ignored=(*(name for name, kind in columns.items() if kind == "ignored"), *left_out),
        origins={"X": _digest(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())},
        found={outline.name: outline.described() for outline in outlines},
        notes=tuple(doubt for outline in kept if (doubt := outline.doubt())),
        split=section.split,
    )
    kinds = Counter(column.kind for column in known)
    facts = TableFacts(
        len(frame), kinds["number"], kinds["boolean"], kinds["category"], kinds["date"], labelled=False
    )  # fmt: skip
    told_of = (
        *(f"left out: column {name}, which {reason}" for name, reason in left_out.items()),
        *(f"column {name} holds {code!r}, as codes do: it is taken as {kind}" for name, (code, kind) in codes.items()),
    )
    return Given(source, data, facts, told=told_of)


def _sentences(lines: list[str], recipe: Recipe | None) -> Given:
    texts = [line for line in lines if line.strip()]
    if recipe is not None and isinstance(recipe.data, TextData | DrawnSentencesData):
        told, facts = recipe.data.model_dump(mode="json", include={"tokenizer", "limit", "long"}), None
    else:
        found = look_at_sentences(texts)
        told, facts = {name: found.data[name] for name in ("tokenizer", "limit", "long")}, found.facts
    data = {"kind": "text", "column": None, **told, "train": {"path": "X.txt"}, **_division(recipe, len(texts))}
    section = TextData.model_validate(data)
    source = TextSource(
        train=texts,
        valid=section.valid,  # type: ignore[arg-type]
        test=section.test,  # type: ignore[arg-type]
        tokenizer=section.tokenizer,
        limit=section.limit,
        long=section.long,
        origins={"X": _digest("\n".join(texts).encode(errors="surrogateescape"))},
        dropped={"empty line": len(lines) - len(texts)} if len(texts) < len(lines) else {},
        split=section.split,
    )
    return Given(source, data, facts)


def _division(recipe: Recipe | None, count: int) -> dict[str, Any]:
    """The keys that say how rows are divided: the recipe's own, as far as its parts have no files."""
    usual = fractions(count)
    if recipe is None:
        return usual
    given = {name: getattr(recipe.data, name) for name in ("valid", "test")}
    shares = {name: share for name, share in given.items() if isinstance(share, float)}
    split = getattr(recipe.data, "split", None)
    rule = {} if split is None else split.model_dump(mode="json", exclude={"groups"})
    return {**usual, **shares, "split": rule}


def _labels(y: Any, count: int) -> tuple[npt.NDArray[np.int64] | None, Array | None]:
    """The number of each label, and the labels in their order."""
    if y is None:
        return None, None
    given = np.asarray(y)
    if given.shape != (count,):
        raise InputError(f"y has the shape {list(given.shape)} for {count} images: a label each is wanted")
    classes, labels = np.unique(given, return_inverse=True)
    return labels.astype(np.int64), classes


def _names(source: Source) -> Array | None:
    return np.array(source.classes) if isinstance(source, ImageSource | AudioSource) and source.classes else None


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
