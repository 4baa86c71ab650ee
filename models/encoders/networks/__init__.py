"""Networks that can be trained: what they compute, and nothing of files, pictures' origin or how they learn.

In: pictures uint8 [B, S, S, 3] RGB; each network brings its own preprocessing. Out: features float32 [B, F], and what a
network is trained for beside them. `build` makes any of them from its kind and arguments.
"""
