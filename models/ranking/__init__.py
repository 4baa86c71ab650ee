"""Learning to rank from preferences.

In: clicks, and the vectors of the images they name. Out: scores, higher is preferred. `pairs` reads clicks, `ranknet`
learns from them (`linear` and `network` are its two parts, `blend` weighs them, `reservoir` remembers pairs),
`published` answers without torch.
"""
