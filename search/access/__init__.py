"""Who may ask what, and how much: paths as they were sent, bodies within limits, keys, rates.

In: requests before any route sees them. Out: the same, or a refusal of one sentence.
"""
