"""The embedded index in a process of its own: Edge holds the interpreter in every call.

In: calls of the contract in one process (`remote`). Out: their answers, from the process that owns the shard
(`server`). `wire` is the form of both between the two.
"""
