"""The predictor: labels and feature maps with ONNX Runtime alone."""
