"""K1: the tag vector as features of an online click model in river; and whether an export knows nothing of later.

In: OpenMoji pictures, clicks of a simulated person. Out: figures.
"""
