"""A study's results: what was found of each size, the page and the picture that tell it."""
