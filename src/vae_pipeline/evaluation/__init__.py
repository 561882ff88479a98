"""The evaluation of a trained model: figures, pictures, gates and the page."""
