"""The address of a bundle on the Hub, and what went wrong there, said in one line."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.redaction import HIDDEN

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://(?P<name>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w][\w./-]*))?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """A repository of a model, at a revision: a branch, a tag or a commit."""

    name: str
    """OWNER/NAME."""
    revision: str = "main"

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read `hf://OWNER/NAME` or `hf://OWNER/NAME@REVISION`.

        Raises:
            BundleError: it is none.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise BundleError(f"{text} is no address of a model on the Hub: wanted hf://OWNER/NAME[@REVISION]")
        return cls(found["name"], found["revision"] or cls.revision)

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}@{self.revision}"


@contextmanager
def on_the_hub(address: Address) -> Iterator[None]:
    """Turn what the Hub, its client and the network raise into a BundleError, without a token in it."""
    import httpx2  # noqa: PLC0415 (what huggingface_hub asks by)
    from huggingface_hub import errors  # noqa: PLC0415 (only for those who have a bundle there)
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        yield
    except errors.HFValidationError as error:
        raise BundleError(f"{address} is no name that the Hub takes ({_first_line(error)})") from error
    except errors.RevisionNotFoundError as error:
        raise BundleError(f"{address}: the repository is there, and has no revision {address.revision}") from error
    except errors.HfHubHTTPError as error:
        raise BundleError(f"{address}: {_answered(error.response.status_code, _first_line(error))}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, httpx2.HTTPError) as error:
        raise BundleError(
            f"{address} can't be had: the Hub can't be reached, and no copy of an earlier time is whole "
            f"({type(error).__name__}); HF_ENDPOINT, HF_HUB_OFFLINE and the network say why"
        ) from error
    except RuntimeError as error:  # of a file's upload
        why = "" if error.__cause__ is None else f" ({type(error.__cause__).__name__}: {_first_line(error.__cause__)})"
        raise BundleError(f"{address}: {_first_line(error)}{why}: try again") from error
    except (errors.EntryNotFoundError, OSError, ValueError) as error:
        raise BundleError(f"{address}: {_first_line(error)}") from error


def _answered(status: int, said: str) -> str:
    """Say what an answer of the Hub's means to whoever asked."""
    match status:
        case 401:
            return "the Hub knows no such repository, or wants a token for it: set HF_TOKEN, or run `hf auth login`"
        case 403:
            return "the token of HF_TOKEN or of the login may not do that: take one that may write to the repository"
        case 404:
            return "there is no such repository, or the token may not see it; `push --create` makes one"
        case 409 | 412:
            return "somebody else has committed meanwhile: run the same command again"
        case _:
            return f"the Hub answered {status} ({said})"


def _first_line(error: BaseException) -> str:
    """The first line of an error, without the token."""
    from huggingface_hub import get_token  # noqa: PLC0415

    lines, token = str(error).strip().splitlines(), get_token()
    said = lines[0][:200] if lines else type(error).__name__
    return said.replace(token, HIDDEN) if token else said
