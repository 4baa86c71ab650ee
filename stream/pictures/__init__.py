"""Picture bytes: checked by their header, decoded in child processes, kept by content or fetched by reference.

In: bytes nobody vouches for, or a dataref. Out: pixels, or the bytes again.
"""
