"""A trained model as ONNX graphs, proved equal to it."""
