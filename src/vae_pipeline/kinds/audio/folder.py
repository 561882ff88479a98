"""Recordings in a folder or in an archive, divided as the recipe says: their classes and groups."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from vae_pipeline.kinds.audio.beside import open_beside
from vae_pipeline.kinds.audio.survey import AudioSurvey, SurveyedRecordings
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.folders import below, class_names, groups_of, numbered
from vae_pipeline.kinds.grouping import named
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.listing import list_recordings
from vae_pipeline.kinds.parts import AudioSource, Part
from vae_pipeline.kinds.splitting import subset
from vae_pipeline.recipe.data import AudioData, File, Matching
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.workbench import Workbench


def open_recordings(data: AudioData, finder: Finder, bench: Workbench) -> AudioSource:
    """List the recordings of each part, and read each once to know it.

    Raises:
        DataError: a place can't be had, is empty, or holds a recording that can't be used.
        WorkerError: a process that read some was ended from outside.
    """
    survey, origins = AudioSurvey(data, bench), {}
    names: dict[str, list[str]] = {}
    found: dict[str, SurveyedRecordings] = {}
    groups: dict[str, list[str]] = {}
    notes: list[str] = []
    for part, file in {"train": data.train, "valid": data.valid, "test": data.test}.items():
        if not isinstance(file, File):
            continue
        found[part] = survey.add(list_recordings(finder.find(file)))
        listing = found[part].listing
        origins[file.path or redacted(file.url or listing.place)] = file.digest or listing.digest(None)
        names[part], merged = _class_names(listing, data)
        notes += merged
        if data.split.groups is not None:
            groups[part] = _each_window(found[part], groups_of(listing, data.split.groups))
    assert survey.spec is not None  # train is a file
    classes = tuple(sorted({name for part in names.values() for name in part}))
    parts = {part: _part(each, names[part], classes) for part, each in found.items()}
    if isinstance(data.valid, Matching) or isinstance(data.test, Matching):
        parts, groups = _matched(data, found["train"], parts, groups)
    beside = open_beside(data, survey.spec, finder)
    return AudioSource(
        spec=dataclasses.replace(survey.spec, classes=classes),
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),  # type: ignore[arg-type]
        test=parts["test"] if "test" in parts else float(data.test),  # type: ignore[arg-type]
        findings=survey.findings,
        origins=origins | beside.origins,
        dropped=dict(survey.dropped + beside.dropped),
        notes=(survey.note, *notes),
        split=data.split,
        groups=groups,
        beside=beside.tapes,
    )


def _class_names(listing: Listing, data: AudioData) -> tuple[list[str], list[str]]:
    if isinstance(data.labels, Matching):
        return named(map(str, below(listing)), data.labels.pattern, "data.labels.pattern"), []
    return class_names(listing, data.labels)


def _each_window(recordings: SurveyedRecordings, of_each: Sequence[str]) -> list[str]:
    """Values of recordings as those of their windows."""
    return [of_each[owner] for owner in recordings.owners]


def _part(recordings: SurveyedRecordings, names: Sequence[str], classes: tuple[str, ...]) -> Part:
    labels = numbered(_each_window(recordings, names), classes) if classes else None
    return Part(recordings.rows, labels, _each_window(recordings, recordings.listing.names))


def _matched(
    data: AudioData, recordings: SurveyedRecordings, parts: dict[str, Part], groups: dict[str, list[str]]
) -> tuple[dict[str, Part], dict[str, list[str]]]:
    """The parts and the groups of their rows, once train has given the others what their patterns pick.

    Raises:
        DataError: a part comes out empty, or two patterns pick the same recording.
    """
    paths = _each_window(recordings, [str(path) for path in below(recordings.listing)])
    wanted = {
        part: each for part, each in {"valid": data.valid, "test": data.test}.items() if isinstance(each, Matching)
    }
    picked = {
        part: np.array([re.search(each.pattern, path) is not None for path in paths]) for part, each in wanted.items()
    }
    times = sum(picked.values(), np.zeros(len(paths), np.int64))
    if (times > 1).any():
        raise DataError(f"{paths[int(times.argmax())]} matches both data.valid.pattern and data.test.pattern: mend one")
    for part, mask in (picked | {"train": times == 0}).items():
        if not mask.any():
            raise DataError(
                f"{recordings.listing.place} has no recording for the {part} part: mend data.valid and data.test"
            )
        parts = parts | {part: subset(parts["train"], np.flatnonzero(mask))}
        if groups:
            groups = groups | {part: [group for group, mine in zip(groups["train"], mask, strict=True) if mine]}
    return parts, groups
