"""`python -m vae_pipeline` is `vae-pipeline`."""

from vae_pipeline.stopping import listen


def main() -> None:
    """Listen to signals before the half second of imports, then run."""
    listen()
    from vae_pipeline.cli import main as run  # noqa: PLC0415

    run()


if __name__ == "__main__":
    main()
