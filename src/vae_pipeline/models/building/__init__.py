"""From a recipe's model section and the spec of one kind of data to a VAE, a builder a kind."""
