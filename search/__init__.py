"""The search API: FastAPI over the same index and the published models.

`app` builds it, `routes` say what can be asked, `schemas` what comes in and out, `query` how an answer is made,
`served` which models answer now.
"""
