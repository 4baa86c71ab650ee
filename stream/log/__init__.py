"""Kafka: reading from where the state stands, writing, topics, dead letters, model versions.

In: settings. Out: readers and writers of the log. Everything that knows kafka-python is here.
"""
