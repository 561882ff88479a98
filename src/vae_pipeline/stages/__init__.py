"""A stage is a function: a recipe, input paths and settings in; one folder filled, and a report out."""
