"""Hide the secrets of addresses in whatever is shown, recorded or kept.

A secret stands in an address as userinfo (`https://joe:secret@host`, `https://token@host`) or in its query
(`?X-Amz-Signature=...`, `?sig=...`). No list of names can know every token's, so every value of a query is hidden.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# A password that isn't percent-encoded may hold any sign, and `joe:12/34@host` looks like a port and a path: only where
# `/` comes before any of `:?#`, as in `https://host/package@1.2/file`, or the host is a number, is an @ a path's.
_USERINFO = re.compile(
    r"(?<=://)(?!(?:localhost|\d+(?:\.\d+){3}|\[[\da-fA-F:.]+\])(?::\d+)?[/?#])[^\s/?#:]*(?:[:?#]\S*)?@"
)
# Libraries say the path of a request without its address: `url: /files?token=...`.
_QUERY = re.compile(r"((?:://|\burl: )[^\s?#\"'<>]*)([?#])([^\s\"'<>]*[^\s\"'<>).,:;])")


def redacted(text: str) -> str:
    """The text without the secrets of the addresses in it: userinfo and values of queries become `***`."""
    text = _USERINFO.sub(f"{HIDDEN}@", text)
    return _QUERY.sub(lambda found: found[1] + found[2] + _hidden(found[2], found[3]), text)


def all_redacted(value: Any) -> Any:
    """Plain values (mappings, lists, texts, numbers) with every text in them redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {all_redacted(key): all_redacted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [all_redacted(each) for each in value]
    return value


def require_encoded(address: str) -> None:
    """Refuse an address whose secret holds signs by which a client would take a part of it for a host or a path.

    Raises:
        ValueError: it does, or may do.
    """
    found = _USERINFO.search(address)
    if found and re.search("[/?#]", found[0]):
        raise ValueError(
            "it isn't a URL: in a user's name or password / ? # @ : are written %2F %3F %23 %40 %3A, in a path @ is %40"
        )


def _hidden(sign: str, query: str) -> str:
    """A query or fragment whose parts keep their names alone; a part without a name may be a secret itself."""
    if sign == "#" and "=" not in query:
        return query
    return "&".join(f"{part.partition('=')[0]}={HIDDEN}" if "=" in part else HIDDEN for part in query.split("&"))
