"""Exchange with the AutoencoderKL of diffusers, whose block structure the residual nets share: names and ranges."""
