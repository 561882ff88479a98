"""The section `data`: the origin of the observations, and their kind."""

from typing import Annotated, Literal, assert_never

from pydantic import Field

from vae_pipeline.recipe.data.audio import AudioData, Beside, DrawnTonesData, Matching
from vae_pipeline.recipe.data.file import ArrayFile, File, Records, Repacked
from vae_pipeline.recipe.data.image import (
    ArrayPart,
    ArraysData,
    DigitsData,
    DrawnDefectsData,
    FolderData,
    ImageData,
    LabelByte,
    MvtecLayout,
    NormalFolder,
    Runs,
    SyntheticData,
)
from vae_pipeline.recipe.data.medmnist import MedmnistData
from vae_pipeline.recipe.data.scans import InColumn, ScansData, Slices, Window
from vae_pipeline.recipe.data.table import ColumnScaling, Counted, DateColumn, TableData, TableLabel, TumoursData
from vae_pipeline.recipe.data.text import DrawnSentencesData, TextData

__all__ = [
    "ArrayFile", "ArrayPart", "ArraysData", "AudioData", "Beside", "ColumnScaling", "Counted", "Data", "DateColumn",
    "DigitsData", "DrawnDefectsData", "DrawnSentencesData", "DrawnTonesData", "File", "FolderData", "ImageData",
    "InColumn", "Kind", "LabelByte", "Matching", "MedmnistData", "MvtecLayout", "NormalFolder", "Records", "Repacked",
    "Runs", "ScansData", "Slices", "SyntheticData", "TableData", "TableLabel", "TextData", "TumoursData", "Window",
    "has_labels", "kind_of", "shards_of", "told",
]  # fmt: skip

Kind = Literal["image", "audio", "table", "text"]
"""The kinds of observation, by the names that spec.json has for them."""

Data = Annotated[
    SyntheticData
    | DigitsData
    | ArraysData
    | FolderData
    | MedmnistData
    | ScansData
    | DrawnDefectsData
    | DrawnTonesData
    | AudioData
    | TumoursData
    | TableData
    | DrawnSentencesData
    | TextData,
    Field(discriminator="kind"),
]


def kind_of(data: Data) -> Kind:
    """The kind of observation that a section gives."""
    match data:
        case (
            SyntheticData()
            | DigitsData()
            | ArraysData()
            | FolderData()
            | MedmnistData()
            | ScansData()
            | DrawnDefectsData()
        ):
            return "image"
        case DrawnTonesData() | AudioData():
            return "audio"
        case TumoursData() | TableData():
            return "table"
        case DrawnSentencesData() | TextData():
            return "text"
        case _:
            assert_never(data)


def shards_of(data: Data) -> int | None:
    """The number of files that the training part is dealt to; None where it is a single one."""
    match data:
        case DrawnDefectsData():
            return data.images.shards
        case DrawnSentencesData() | TextData():
            return None
        case _:
            return data.shards


def has_labels(data: Data) -> bool:
    """True if the section names labels that a model may be conditional on; the label that a row is normal is none."""
    match data:
        case TumoursData() | TableData() | DrawnDefectsData() | DrawnSentencesData() | TextData():
            return False
        case ArraysData():
            return data.train.labels is not None
        case FolderData():
            return data.labels in ("folders", "paths")
        case AudioData() | ScansData():
            return data.labels != "none"
        case SyntheticData() | DigitsData() | MedmnistData() | DrawnTonesData():
            return True
        case _:
            assert_never(data)


def told(data: Data) -> set[Literal["anomalies", "masks"]]:
    """The knowledge of the test part's anomalies: which examples they are, and where in an image they lie."""
    match data:
        case (
            DrawnDefectsData()
            | FolderData(labels=NormalFolder(masks="beside"))
            | FolderData(labels=MvtecLayout(masks="ground_truth"))
        ):
            return {"anomalies", "masks"}
        case FolderData(labels=NormalFolder() | MvtecLayout()) | TumoursData():
            return {"anomalies"}
        case TableData(label=label):
            return set() if label is None else {"anomalies"}
        case SyntheticData() | DigitsData() | ArraysData() | FolderData() | MedmnistData() | ScansData():
            return set()
        case DrawnTonesData() | AudioData() | DrawnSentencesData() | TextData():
            return set()
        case _:
            assert_never(data)
