"""A static page that runs a bundle in its visitor's browser."""
