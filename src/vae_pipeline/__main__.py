"""`python -m vae_pipeline` is `vae-pipeline`."""

import gc
import sys

from vae_pipeline.system.errors import lacking
from vae_pipeline.system.stopping import listen

OBJECTS = 20_000
"""New objects after which Python looks for garbage: at 700 it would look hundreds of times while torch is imported."""


def main() -> None:
    """Listen to signals before the half second of imports, then run."""
    listen()
    gc.set_threshold(OBJECTS)
    try:
        from vae_pipeline.cli.main import main as run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(f"vae-pipeline: {lacking(error)}\n")
        sys.exit(2)
    try:
        run()
    finally:
        gc.freeze()  # the last collection would walk through all that torch imported, for 0.3 s, and the process ends


if __name__ == "__main__":
    main()
