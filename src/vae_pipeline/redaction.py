"""Hide the secrets of addresses in whatever is shown, recorded or kept.

A secret stands in an address as userinfo (`https://joe:secret@host`, `https://token@host`) or in its query
(`?X-Amz-Signature=...`, `?sig=...`). No list of names can know every token's, so every value of a query is hidden.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# A password that isn't percent-encoded may hold any sign, `/` among them; a colon before it that no port follows gives
# it away. An @ that stands in a path, as in `https://host/package@1.2/file`, is none.
_USERINFO = re.compile(r"(?<=://)(?:[^\s/?#]*|[^\s/?#:\"'<>]*:(?!\d*[/?#])[^\s\"'<>]*)@")
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


def _hidden(sign: str, query: str) -> str:
    """A query or fragment whose parts keep their names alone; a part without a name may be a secret itself."""
    if sign == "#" and "=" not in query:
        return query
    return "&".join(f"{part.partition('=')[0]}={HIDDEN}" if "=" in part else HIDDEN for part in query.split("&"))
