"""The search API: FastAPI over the same index and the published models.

In: HTTP requests, announcements of models. Out: results, predictions, events in the log. `app` and `build` put it
together, `routes` say what can be asked, `schemas` what comes in and out, `query` finds, `views` shows, `served` holds
the models that answer now. Before all routes stands `access` (paths, bodies, keys, rates); `pictures` come in and go
out, `pages` say what of an order is on one, and `client` asks all of it from Python.
"""
