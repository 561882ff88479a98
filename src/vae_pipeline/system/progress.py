"""Progress of long work: the work tells how far it has come, and whoever wants to show it listens."""

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[str, int, int], None]
"""A function that is told what is being done, how much of it is done, and how much there is in all."""
Item = TypeVar("Item")

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """A block whose work is told to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def going(what: str, done: int, total: int) -> None:
    """Tell how far the work called `what` has come."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)


def counted(what: str, items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
    """The items, each told before it is worked on."""
    count = total if total is not None else len(items) if isinstance(items, Sized) else 0
    for done, item in enumerate(items):
        going(what, done, count)
        yield item
    going(what, count, count)
