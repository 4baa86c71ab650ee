"""The vector index: one contract, one typed payload, and who answers (a Qdrant server, or Qdrant Edge in a process).

In: records with their offsets, queries. Out: records and hits.
"""
