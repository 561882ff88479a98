"""A file of data, here or somewhere else."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.section import Count, Place, Section, later
from vae_pipeline.system.redaction import require_encoded

DIGEST = r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$"


class Repacked(Section):
    """A file in the folder that VAE_MIRROR names, which holds the same values in another form."""

    name: Place
    """The file's name."""
    digest: str = Field(pattern=DIGEST)
    """`sha256:...` or `md5:...` of the file."""
    key: Place | None = None
    """The array that is meant of an .npz or a .mat; may be left out if there is one."""


class File(Section):
    """A file of arrays: at a `path`, or at a `url` with the `digest` that it must have."""

    path: str | None = None
    """Path of a local file, from the folder in which the command runs."""
    url: str | None = Field(None, pattern=r"^(https?|ftp|file)://")
    """Address of type http, https, ftp or file; the download is kept."""
    digest: str | None = Field(None, pattern=DIGEST)
    """`sha256:...` or `md5:...` of what the URL delivers or, where that is gzipped, of what is inside."""
    key: Place | None = Field(None, description="which array of an .npz")
    """The array that is meant of an .npz or a .mat; may be left out if there is one."""
    name: Place | None = None
    """The name under which a mirror has what the url delivers; null for the last part of the url."""
    repacked: Repacked | None = None
    """The same values in another form, taken from the mirror where this file isn't at hand, before it is downloaded."""

    @field_validator("url")
    @classmethod
    def _secrets_are_encoded(cls, url: str | None) -> str | None:
        require_encoded(url or "")
        return url

    @model_validator(mode="after")
    def _one_origin(self) -> "File":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path, or url and digest")
        if (self.url is None) != (self.digest is None):
            raise ValueError("a url needs the digest of what it delivers (sha256:... or md5:...)")
        if self.name is not None and self.url is None:
            raise ValueError("name is what a mirror calls the file at a url, and none is given: leave name out")
        return self


class Records(Section):
    """Records of one length, one an image, as CIFAR's binary files have them."""

    bytes: Count
    """The length of a record."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Bytes at the beginning of each record that come before the values."""

    @model_validator(mode="after")
    def _values_are_left(self) -> "Records":
        if self.skip >= self.bytes:
            raise ValueError(f"skip {self.skip} leaves nothing of a record of {self.bytes} bytes: take fewer")
        return self


class ArrayFile(File):
    """A file of one array. Records may lie in files of a folder, a .zip or a .tar: `key` is then a pattern of their
    names, such as `data_batch_*.bin`."""

    records: Records | None = later(None)
    """The records of a file without a header, each value a byte; null for a file that tells its own form."""
