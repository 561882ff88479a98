"""The builders, one a kind of data: each makes a VAE of a recipe's model section and of a spec."""
