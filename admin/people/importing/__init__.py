"""What `mekiki post` does: files that people have, with what they say of them, into the log.

In: paths and files of tags. Out: events in the log, and what became of each file.
"""
