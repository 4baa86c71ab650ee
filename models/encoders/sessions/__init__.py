"""How a network runs, whichever it is: ONNX Runtime on a CPU, torch on a GPU.

In: a network or its graph, and pictures uint8 [B, 224, 224, 3]. Out: raw features float32 [B, F].
"""
