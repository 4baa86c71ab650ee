"""A file to pixels as a viewer shows them; all of it runs in the decoding child.

In: bytes nobody vouches for. Out: uint8 [224, 224, 3] RGB, upright, on white, in sRGB; or what is wrong with the file.
"""
