"""The kinds of observation: images, recordings, rows of tables, sentences."""
