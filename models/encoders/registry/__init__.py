"""Which encoders there are: built-in ones, and folders of a manifest and its files.

In: a folder of encoders. Out: manifests, checked; encoders are made of them in models.encoders.load. `manifest` says
what an encoder is, `folders` keeps them, `compose` joins a network of anybody's with its preprocessing and pooling, and
`trial` runs it before it is taken.
"""
