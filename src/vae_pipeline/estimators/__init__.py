"""Models fitted from Python, in scikit-learn's manner, by the pipeline's engine."""
