"""The report: one HTML page that tells a person what was trained, how good it is, and where it comes from."""
