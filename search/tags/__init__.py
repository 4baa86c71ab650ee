"""What the search API shows of tags and of operations on them.

In: rows of the tag learner. Out: models of `schemas`, as `views` makes them. Nothing fails.
"""
