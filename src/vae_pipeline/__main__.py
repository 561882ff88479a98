"""`python -m vae_pipeline` is `vae-pipeline`."""

from vae_pipeline.cli import main

if __name__ == "__main__":
    main()
