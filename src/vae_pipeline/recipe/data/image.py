"""The section `data` of images."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.data.file import ArrayFile, File
from vae_pipeline.recipe.section import Count, Finite, Fraction, Place, Section, Shape, Sharded, SomeFraction, later
from vae_pipeline.recipe.split import (
    HASHED,
    ListedSplit,
    SplitOfPictures,
    SplitRule,
    Ungrouped,
    require_fractions,
)


class Runs(Section):
    """Groups of images that follow each other in a file: the pictures of a person, or a piece of a film."""

    run: Count
    """Images of a group; the last may have fewer."""


class LabelByte(Section):
    """A byte of each record of the images, which is the label."""

    byte: Annotated[int, Field(ge=0)]
    """Its place in the record, from 0, among those that `records.skip` passes over."""


class ArrayPart(Section):
    """Images, and their labels if there are any."""

    images: ArrayFile
    """The file of the images."""
    labels: ArrayFile | LabelByte | None
    """The file of the labels, whole numbers or texts, or their place in the images' records; null if there are none."""
    groups: File | Runs | None = None
    """An id for each image, a number or a text: images of one id (of one patient, say) are of one part. Or so many
    images, one after the other, are a group."""

    @model_validator(mode="after")
    def _labels_lie_before_the_values(self) -> "ArrayPart":
        skipped = 0 if self.images.records is None else self.images.records.skip
        if isinstance(self.labels, LabelByte) and self.labels.byte >= skipped:
            raise ValueError(
                f"labels.byte {self.labels.byte} lies beyond what is skipped of each record ({skipped} bytes, the "
                f"first being 0): set images.records, with a skip of {self.labels.byte + 1} or more"
            )
        return self


class SyntheticData(Sharded):
    """Grey bars on a dark ground, drawn from the seed: needs no file. The label says upright or lying."""

    kind: Literal["synthetic"]
    examples: Count
    """Examples that are drawn, all parts together."""
    side: Annotated[int, Field(ge=4)]
    """Height and width in pixels."""
    valid: Fraction
    """A fraction of the training data that is kept for validation; 0 for none."""
    test: SomeFraction
    """A fraction of the training data that is kept for the test."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""


class DigitsData(Sharded):
    """The 1,797 real 8x8 digits that scikit-learn carries (UCI Optical Recognition, values 0..16)."""

    kind: Literal["digits"]
    valid: Fraction
    """A fraction of the training data that is kept for validation; 0 for none."""
    test: SomeFraction
    """A fraction of the training data that is kept for the test."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""


class ArraysData(Sharded):
    """IDX, .npy, .npz, .amat, .mat or records of bytes, gzipped or not; `valid` and `test` are files, or a fraction."""

    kind: Literal["arrays"]
    shape: Shape
    """Channels, height, width of one image."""
    range: tuple[Finite, Finite]
    """The lowest and highest value that can occur; the model maps them to 0 and 1."""
    flat: Literal["rows", "columns"] = "rows"
    """The order in which images that a file holds as flat lists of values were written: row by row, or column by
    column, as MATLAB does."""
    classes: Annotated[tuple[Place, ...], Field(min_length=1)] | None = later(None)
    """The names of the labels, in the order of their numbers or texts; null for these themselves."""
    train: ArrayPart
    """Images and labels to train on."""
    valid: Fraction | ArrayPart
    """Images and labels of their own, or a fraction of train."""
    test: SomeFraction | ArrayPart
    """Images and labels of their own, or a fraction of train."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "ArraysData":
        require_fractions(self.split, self.valid, self.test)
        return self

    @model_validator(mode="after")
    def _labels_can_be_named(self) -> "ArraysData":
        if self.classes is not None and self.train.labels is None:
            raise ValueError("classes names labels, and train.labels is null: leave classes out")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has a name twice")
        return self

    @field_validator("range")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] >= bounds[1]:
            raise ValueError("the lowest value must be under the highest")
        return bounds


class NormalFolder(Section):
    """One folder's pictures are flawless; those of the folders beside it show anomalies, kept for the test part."""

    normal: Place
    """Name of the folder of flawless pictures."""
    masks: Literal["none", "beside"]
    """`beside`: NAME.png is the mask of NAME.jpg, above 0 where the defect is."""


class MvtecLayout(Section):
    """The layout of MVTec AD, which other sets of defects have too. Below `train` lie flawless pictures to train on in
    train/good, test pictures in test/good and in a folder for each kind of defect beside it, masks in ground_truth."""

    kind: Literal["mvtec"]
    masks: Literal["none", "ground_truth"] = "ground_truth"
    """`ground_truth`: ground_truth/KIND/NAME_mask.png is the mask of test/KIND/NAME.png, above 0 where its defect
    is."""


class FolderData(Sharded):
    """Pictures in a folder, a .zip, a .tar or a folder of such archives; `valid` and `test` are paths, or fractions."""

    kind: Literal["folder"]
    shape: Shape
    """Channels (1: grey, 3: RGB), height, width that every image is brought to."""
    resize: Literal["none", "stretch", "crop", "pad", "tiles"]
    """Pictures of another size: `none` refuses them, `stretch` changes their proportions, `crop` cuts the edges, `pad`
    adds a border. `tiles` cuts each into as many images as fit, all of one part."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """Pixels that neighbouring tiles share."""
    labels: Literal["none", "folders", "paths"] | NormalFolder | MvtecLayout
    """`folders`: the name of the folder that an image lies in is its class; `paths`: the folder's path is. Where some
    show anomalies: the folder of those that don't, or the layout of train."""
    corrupt: Literal["fail", "drop"]
    """Truncated or corrupt pictures: `fail` at the first, or `drop` them and count."""
    depth: Annotated[int, Field(ge=1, le=32)] | None = None
    """Bits of greys that are stored in more than 8; null for the range that they fill."""
    crop: Count | None = None
    """The side of a square that is cut out of the middle of each picture of another size before it is resized."""
    attributes: Place | None = None
    """A list of what each picture shows or not, by its name, such as CelebA's list_attr_celeba.txt, or a CSV: 1 or
    true where it does, 0, -1 or false where it doesn't."""
    train: Place
    """Path of the folder or archive, or of a folder of archives."""
    valid: Fraction | Place | None = None
    """A path, or a fraction of train; null where split is listed."""
    test: SomeFraction | Place | None = None
    """A path, or a fraction of train; null where split is listed, or the layout has a test part."""
    split: SplitOfPictures = HASHED
    """The rule by which the fractions are taken, or a list of each picture's part."""

    @property
    def fit(self) -> Literal["none", "stretch", "crop", "pad"]:
        """The way in which a picture becomes one image; where they are cut into tiles, it has to be one."""
        return "none" if self.resize == "tiles" else self.resize

    @property
    def rule(self) -> SplitRule:
        """The rule by which fractions are taken; where a list says each picture's part there are none."""
        return HASHED if isinstance(self.split, ListedSplit) else self.split

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "FolderData":
        listed, given = isinstance(self.split, ListedSplit), [self.valid, self.test]
        if listed and given != [None, None]:
            raise ValueError("split.kind listed says which pictures are valid and test: leave both out")
        if isinstance(self.labels, MvtecLayout):
            if listed or not isinstance(self.valid, float | int) or self.test is not None:
                raise ValueError(
                    "labels of kind mvtec have a test part: give valid as a fraction of train/good, and leave out test "
                    "and a split of kind listed"
                )
            return self
        if not listed and None in given:
            raise ValueError("give valid and test: a path, or a fraction of train; or a split of kind listed")
        if not listed:
            require_fractions(self.rule, *given)
        return self

    @model_validator(mode="after")
    def _tiles_can_be_cut(self) -> "FolderData":
        if self.resize != "tiles" and self.overlap:
            raise ValueError("overlap is of tiles: set resize to tiles, or leave overlap out")
        if self.overlap >= min(self.shape[1:]):
            raise ValueError("overlap must be under the sides of shape")
        if self.resize == "tiles" and (isinstance(self.labels, NormalFolder) or self.crop is not None):
            raise ValueError("resize: tiles doesn't go with labels.normal or crop: leave these out")
        if self.resize == "tiles" and isinstance(self.labels, MvtecLayout) and self.labels.masks == "none":
            raise ValueError(
                "resize: tiles asks masks which tiles show a defect, and labels.masks is none: set it to ground_truth"
            )
        return self

    @field_validator("shape")
    @classmethod
    def _grey_or_rgb(cls, shape: Shape) -> Shape:
        if shape[0] not in (1, 3):
            raise ValueError("a picture has 1 channel (grey) or 3 (RGB)")
        return shape

    @model_validator(mode="after")
    def _anomalies_are_for_test(self) -> "FolderData":
        if isinstance(self.labels, MvtecLayout) and self.attributes is not None:
            raise ValueError(
                "attributes are of labelled pictures, and labels of kind mvtec are kinds of defects: leave it out"
            )
        own = isinstance(self.split, ListedSplit) or isinstance(self.valid, str) or isinstance(self.test, str)
        if isinstance(self.labels, NormalFolder) and own:
            raise ValueError(
                "labels.normal keeps the anomalies of train for the test part: give valid and test as fractions "
                "(of the normal pictures)"
            )
        return self


ImageData = Annotated[SyntheticData | DigitsData | ArraysData | FolderData, Field(discriminator="kind")]


class DrawnDefectsData(Section):
    """Any images, and a defect that is drawn from the seed on a share of the test part: anomalies, with their masks."""

    kind: Literal["drawn_defects"]
    images: ImageData
    """Flawless; their labels, if any, aren't taken."""
    defects: Annotated[tuple[Literal["stripe", "blob", "missing"], ...], Field(min_length=1)]
    """Each as likely: a line, a spot, a part that is left out."""
    share: SomeFraction
    """The share of the test part that is defective."""

    @property
    def valid(self) -> Fraction | Place | ArrayPart | None:
        """The images' own part."""
        return self.images.valid

    @property
    def test(self) -> SomeFraction | Place | ArrayPart | None:
        """The images' own part."""
        return self.images.test

    @field_validator("images")
    @classmethod
    def _flawless(cls, images: ImageData) -> ImageData:
        if isinstance(images, FolderData) and isinstance(images.labels, NormalFolder | MvtecLayout):
            raise ValueError("defects are drawn on images that have none of their own: set labels to none")
        return images
