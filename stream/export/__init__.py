"""What was learned, as files for other people's models.

In: the log up to an offset. Out: a table and its manifest, both or neither.
"""
