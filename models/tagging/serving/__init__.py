"""What is served: snapshots, what predicts with them, how they are made and what travels between versions.

In: the learned state. Out: frozen snapshots and predictions.
"""
