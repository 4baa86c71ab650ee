"""Records out of Kafka, from where the state stands.

In: topics, and the offsets stored with the state. Out: records with their positions, and offsets to store.
"""
