"""A typed client of the search API: `from search.client import Client`.

In: arguments. Out: models of search.schemas. Raises the errors of models.errors, as the command line shows them.
"""

from search.client.client import Client

__all__ = ["Client"]
