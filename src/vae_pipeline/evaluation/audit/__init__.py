"""The audit of synthetic files: images or rows that are written already, by whatever made them."""
