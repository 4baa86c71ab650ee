"""Pictures over HTTP: posted ones on their way into the log, stored ones on their way out.

In: bytes or a dataref from a request; bytes from the store. Out: events, what came of them; answers, whole or in part.
"""
