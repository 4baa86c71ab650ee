"""Kafka: writing, and in `reading` reading from where the state stands; topics, dead letters, model versions.

In: settings. Out: readers and writers of the log. Everything that knows kafka-python is here.
"""
