"""`python -m vae_pipeline` is `vae-pipeline`."""

import atexit
import os
import sys
from contextlib import suppress

from vae_pipeline.system.errors import lacking
from vae_pipeline.system.garbage import search_seldom
from vae_pipeline.system.stopping import listen


def main() -> None:
    """Listen to signals before the half second of imports, run, and end at once."""
    listen()
    search_seldom()
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch asks for large pages for tensors of 2 MB and more
    codes: list[int] = []
    atexit.register(_end_at_once, codes)  # what is registered first is called last
    try:
        from vae_pipeline.cli.main import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(f"vae-pipeline: {lacking(error)}\n")
        sys.exit(2)
    try:
        run()
    except SystemExit as ended:
        if not isinstance(ended.code, str):
            codes.append(ended.code or 0)
        raise


def _end_at_once(codes: list[int]) -> None:
    """End the process, once threads have ended and all is written, with the exit code that is known.

    Python would first take apart all that torch imported, for 0.1 to 0.4 s of a core. After an error that nobody
    expected it does.
    """
    with suppress(OSError):  # Python tells of a stream that can't be written
        sys.stdout.flush()
        sys.stderr.flush()
        for code in codes:
            os._exit(code)


if __name__ == "__main__":
    main()
