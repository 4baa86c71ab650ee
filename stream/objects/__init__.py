"""Objects of pictures: parts cut out, embedded like whole pictures, and found by themselves.

In: images.v1 as far as ingest has applied it, the image index, picture bytes. Out: records of the object index with
their offsets.
"""
