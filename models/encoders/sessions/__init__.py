"""How a network runs: ONNX Runtime on a CPU, torch on a GPU.

In: pictures uint8 [B, 224, 224, 3]. Out: raw features float32 [B, 2608].
"""
