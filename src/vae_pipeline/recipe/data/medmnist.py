"""The section `data` of MedMNIST's files."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.data.file import ArrayFile, File
from vae_pipeline.recipe.data.image import ArrayPart
from vae_pipeline.recipe.section import Place, Sharded
from vae_pipeline.recipe.split import HASHED, Ungrouped, require_fractions

PREFIXES = {"train": "train", "valid": "val", "test": "test"}
"""The names of parts in a file's keys, such as val_images and val_labels."""


class MedmnistData(Sharded):
    """A file of MedMNIST's 2D sets: images of 8 bits, grey or RGB, in the official parts, each with one label."""

    kind: Literal["medmnist"]
    file: File
    """The .npz: train_images, train_labels, val_images, val_labels, test_images and test_labels."""
    classes: Annotated[tuple[Place, ...], Field(min_length=1)] | None = None
    """The names of the labels, in the order of their numbers; null for the numbers themselves."""
    split: Ungrouped = HASHED
    """Parts are the official ones; `duplicates: drop` leaves out images of train that are in another part."""

    @property
    def train(self) -> ArrayPart:
        """The official training part."""
        return self._part("train")

    @property
    def valid(self) -> ArrayPart:
        """The official validation part."""
        return self._part("valid")

    @property
    def test(self) -> ArrayPart:
        """The official test part."""
        return self._part("test")

    def _part(self, name: str) -> ArrayPart:
        images, labels = (self._array(f"{PREFIXES[name]}_{what}") for what in ("images", "labels"))
        return ArrayPart(images=images, labels=labels)

    def _array(self, key: str) -> ArrayFile:
        given = self.file.model_dump(exclude_none=True)
        if "repacked" in given:
            given["repacked"]["key"] = key
        return ArrayFile.model_validate({**given, "key": key})

    @field_validator("file")
    @classmethod
    def _all_arrays(cls, file: File) -> File:
        if file.key is not None or (file.repacked is not None and file.repacked.key is not None):
            raise ValueError("the arrays of MedMNIST's files have names of their own: leave key out")
        return file

    @model_validator(mode="after")
    def _parts_are_the_official_ones(self) -> "MedmnistData":
        require_fractions(self.split, self.valid, self.test)
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has a name twice")
        return self
