"""What of the log is not read: batches that nobody can, how an operator lets readers go past them, and what waits.

In: what kafka-python makes of a broker's answer. Out: other partitions go on, and one waits for `mekiki dlq skip`.
"""
