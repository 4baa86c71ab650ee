"""Commands of those who run the service: processes, topics, dead letters, status.

In: settings. Out: running processes, tables of what they do.
"""
