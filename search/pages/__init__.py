"""What of an order goes on a page: what was shown already, and how unlike each other results are to be.

In: ids, scores, vectors. Out: cursors, and places in the order. Pure; nothing fails.
"""
