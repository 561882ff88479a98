"""Terms beside the ELBO that make images sharp: a distance in features, and a discriminator of patches."""
