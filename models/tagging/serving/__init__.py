"""What is served: snapshots, what predicts with them, what solves their weights and what travels between versions.

In: the learned state. Out: frozen snapshots and predictions.
"""
