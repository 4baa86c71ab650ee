"""What can be seen in a picture, and where.

In: an image of the index or picture bytes, a running service. Out: parts of the picture with tags, vouched for or not.
"""
