"""How good an encoder is: its vectors judged by tags that pictures share, by heads learned on them, and by taste.

In: raw features or vectors, and tags. Out: figures. `splits` cuts pictures into a training and a test side.
"""
