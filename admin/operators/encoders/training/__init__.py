"""Encoders of one's own: trained from the pictures, tags and clicks that the service has.

In: the index, the store of pictures and the log, as a training reads them. Out: an encoder's folder.
"""
