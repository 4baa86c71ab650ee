"""What is known: exact sums, images, names, exemplars, and what keeps them in step.

In: training examples. Out: state that depends on the log alone.
"""
