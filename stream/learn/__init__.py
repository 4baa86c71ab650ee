"""Examples to a tagger, clicks to a ranker, each published in versions.

In: examples.v1 and clicks.v1. Out: model versions; learned state and its offsets as one atomic unit.
"""
