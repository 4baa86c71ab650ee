"""What can be asked over HTTP, by noun.

In: requests. Out: models of search/schemas.py, or one sentence.
"""
