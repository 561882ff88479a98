"""The beginning: facts on data, the recipe that suits them, and a project to run it in."""
