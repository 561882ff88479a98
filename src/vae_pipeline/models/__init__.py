"""p(x, z) and q(z|x): distributions, and the VAE that joins them."""
