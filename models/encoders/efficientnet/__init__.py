"""EfficientNet-Lite0: what the network means.

In: pictures uint8 [B, 224, 224, 3]. Out: raw features float32 [B, 2608]. `outputs` says what is read off it, `weights`
where its weights lie, `network` is the network in torch, `onnx_graph` writes it as a graph, `graph_cache` keeps that.
"""
