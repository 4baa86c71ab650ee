"""Tag learning (T1): speed, the running worker, quality, few-shot, beside what one could pick instead.

In: seeded vectors, or pictures with tags. Out: figures. `run` puts the parts together; each part is a file.
"""
