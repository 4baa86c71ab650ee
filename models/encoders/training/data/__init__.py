"""What networks are trained on: pictures of some source, kept on disk in the form in which they are read often.

In: `Pictures`. Out: rows of fixed size in a folder, which of them are held out, and the order in which they are read.
"""
