"""A file of data, here or somewhere else."""

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.section import Section
from vae_pipeline.system.redaction import require_encoded


class File(Section):
    """A file of arrays: at a `path`, or at a `url` with the `digest` that it must have."""

    path: str | None = None
    """Path of a local file, from the folder in which the command runs."""
    url: str | None = Field(None, pattern=r"^(https?|ftp|file)://")
    """Address of type http, https, ftp or file; the download is kept."""
    digest: str | None = Field(None, pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")
    """`sha256:...` or `md5:...` of what the URL delivers or, where that is gzipped, of what is inside."""
    key: str | None = Field(None, description="which array of an .npz")
    """The array that is meant of an .npz; may be left out if there is one."""

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
        return self
