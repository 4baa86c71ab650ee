"""Batches of the log that cannot be read: where they stand, and how an operator lets readers go past them.

In: what kafka-python makes of a broker's answer. Out: other partitions go on, and one waits for `mekiki dlq skip`.
"""
