"""Encoders are trained here, from a source of pictures; each result is an encoder like any other.

In: `data.Pictures`, options, a folder. Out: `Trained`, and in the folder `network.onnx`, `weights.safetensors` and what
else belongs to it. `loop` trains whatever is described as a task, `checkpoint` keeps a run that may be stopped;
`autoencoder`, `tags` and `taste` say what is learned; `export` writes what is served.
"""
