"""The section `data` of sound."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.data.file import File
from vae_pipeline.recipe.section import Count, Fraction, Pattern, Positive, Section, Sharded, SomeFraction, later
from vae_pipeline.recipe.split import HASHED, GroupedByName, Ungrouped, require_fractions

RateHz = Annotated[Count, Field(le=768_000)]
LOWEST_HZ = 110  # the lowest pitch of drawn tones, which half of their rate must lie above


class DrawnTonesData(Sharded):
    """Decaying tones of three timbres, drawn from the seed: needs no file. The label is the timbre."""

    kind: Literal["drawn_tones"]
    examples: Count
    """Examples that are drawn, all parts together."""
    rate_hz: Annotated[RateHz, Field(gt=2 * LOWEST_HZ)]
    """Samples a second, over 220: tones of 110 Hz and more have at least two a period."""
    seconds: Positive
    """Duration of each."""
    valid: Fraction
    """A fraction of the training data that is kept for validation; 0 for none."""
    test: SomeFraction
    """A fraction of the training data that is kept for the test."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""

    @property
    def length(self) -> int:
        """Samples of each."""
        return length_of(self.seconds, self.rate_hz)


class Matching(Section):
    """A regular expression for a recording's path below the folder that all lie in."""

    pattern: Pattern
    """For a class, its first group, or all that it matches, is the name; for a part, it is found in the paths of its
    recordings."""


class Beside(Section):
    """Recordings beside the data, which corruptions mix in: noises, or impulse responses of rooms. They are brought to
    the rate and channels of the data, and each part has its own of them, so that figures are of ones never heard."""

    files: Annotated[tuple[File, ...], Field(min_length=1)]
    """Folders or archives."""
    valid: Matching
    """A pattern of the paths of those of the validation part."""
    test: Matching
    """A pattern of the paths of those of the test part; all others are of the training part."""


class AudioData(Sharded):
    """Recordings in a folder, a .zip or a .tar: .wav, .flac or .ogg, of any rate, depth and number of channels."""

    kind: Literal["audio"]
    rate_hz: RateHz
    """Samples a second, which recordings of another rate are brought to."""
    seconds: Positive
    """Duration that every recording is brought to; silence is added to a shorter one."""
    longer: Literal["crop", "windows"]
    """Recordings that last longer: `crop` keeps their beginning, `windows` cuts each into as many as it fills, all of
    one part, of which the last is padded with silence."""
    channels: Literal["mono", "kept"]
    """`mono` takes the mean of channels; `kept` leaves them apart, and all recordings must have as many."""
    labels: Literal["none", "folders", "paths"] | Matching
    """`folders`: the name of the folder that a recording lies in is its class; `paths`: the folder's path is; or a
    pattern of its own path, such as {pattern: '^(\\d)_'}."""
    corrupt: Literal["fail", "drop"]
    """Broken recordings, and such as hold no samples or NaN: `fail` at the first, or `drop` them and count."""
    train: File
    """The folder or archive; or the address of an archive."""
    valid: Fraction | Matching | File
    """A fraction of train, those recordings of it whose path has a pattern, or a folder or archive of its own."""
    test: SomeFraction | Matching | File
    """A fraction, a pattern, or a folder or archive of its own."""
    split: GroupedByName = HASHED
    """The rule by which the fractions are taken."""
    noises: Beside | None = later(None)
    """Noises, for train.denoise.corruption of kind noises; null, which isn't stored, for none."""
    rooms: Beside | None = later(None)
    """Impulse responses, for train.denoise.corruption of kind reverberation; null, which isn't stored, for none."""

    @property
    def length(self) -> int:
        """Samples that every recording is brought to."""
        return length_of(self.seconds, self.rate_hz)

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "AudioData":
        require_fractions(self.split, self.valid, self.test)
        return self

    @field_validator("train", "valid", "test")
    @classmethod
    def _no_array(cls, part: object) -> object:
        if isinstance(part, File) and part.key is not None:
            raise ValueError("key is for arrays: leave it out")
        return part


def length_of(seconds: float, rate_hz: int) -> int:
    """Samples that so many seconds have, one at least."""
    return max(1, round(seconds * rate_hz))
