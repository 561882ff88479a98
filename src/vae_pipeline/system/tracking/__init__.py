"""MLflow, or nothing. What is recorded goes to a local journal first, so that a dead tracker costs no run."""
