"""`mekiki encoder`: which encoders there are, where they come from, and how good they are.

In: folders of encoders, pictures, the index. Out: tables, and new folders of encoders. `command` is the command line,
`fit` makes projections, `taking` takes other people's networks.
"""
