"""Features of images, as views of a model: what is computed of an image before anything is learned."""
