"""`mekiki encoder`: which encoders there are, where they come from, and how good they are.

In: folders of encoders, pictures, tags and clicks of the service. Out: tables, and new folders of encoders. `command`
and `train` are the command line, `fit` makes projections, `taking` takes other people's networks, `judge` compares.
"""
