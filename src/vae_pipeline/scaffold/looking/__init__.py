"""A look at data of any kind that can be learned."""
