"""EfficientNet-Lite0: what the network means, its weights, and its ONNX graph.

In: pictures. Out: raw features.
"""
