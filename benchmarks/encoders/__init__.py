"""N1: encoders, those there are and those that are fitted or trained here, each beside what it should be better than.

In: pictures that come inside packages. Out: one document; a part of it for each file, measured in a process of its own.
"""
