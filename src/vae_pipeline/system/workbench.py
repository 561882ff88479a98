"""A folder for the finished pieces of a work, which the same work finds again after it was broken off."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from vae_pipeline.system.errors import Interrupted
from vae_pipeline.system.files import writing
from vae_pipeline.system.locking import held
from vae_pipeline.system.stopping import Stopped


class Workbench:
    """A folder that is there once it is asked for, and the number of processes that may fill it together."""

    def __init__(self, make: Callable[[], Path], processes: int = 1) -> None:
        self._make, self.processes = make, processes

    @classmethod
    def temporary(cls) -> "Workbench":
        """A folder that goes with the object, for one process."""
        folder = Path(tempfile.mkdtemp())
        bench = cls(lambda: folder)
        weakref.finalize(bench, shutil.rmtree, folder, ignore_errors=True)
        return bench

    @cached_property
    def folder(self) -> Path:
        """The folder, this process's own from now on."""
        return self._make()


@contextmanager
def workbench(folder: Path, processes: int, doing: str, say: Callable[[str], None]) -> Iterator[Workbench]:
    """A workbench whose folder is cleared away once the block has ended well.

    Raises:
        OutputError: the folder can't be made.
        Interrupted: a signal came when pieces were finished already; the message says where they are kept.
    """
    with ExitStack() as stack:

        def make() -> Path:
            with writing(folder):
                folder.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(held(folder.with_name(f"{folder.name}.lock"), doing, say))
                folder.mkdir(exist_ok=True)
            return folder

        try:
            yield Workbench(make, processes)
        except Stopped as stopped:
            if folder.is_dir() and any(folder.iterdir()):
                told = f"what was read is kept in {folder}, and the same command goes on from there"
                raise Interrupted(f"{stopped}: stopped; {told}") from None
            raise
        shutil.rmtree(folder, ignore_errors=True)
