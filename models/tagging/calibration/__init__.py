"""From evidence to probability: calibrators, prequential evaluation, thresholds, drift, and the schedule of all this.

In: evidence and truth of sampled examples. Out: calibrators, running metrics.
"""
