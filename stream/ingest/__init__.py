"""EVENT -> DECODE -> EMBED -> APPLY -> WRITE: one step, one file; pipeline.py alone joins them.

In: records of images.v1 and tags.v1. Out: the index with its offsets, training examples, dead letters.
"""
