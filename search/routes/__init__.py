"""What can be asked over HTTP, one noun a file.

In: requests, whose common parameters are in `parameters`. Out: models of search/schemas.py as search/views.py makes
them, or one sentence.
"""
