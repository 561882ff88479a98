"""The kinds of observation: images, rows of tables, sentences."""
