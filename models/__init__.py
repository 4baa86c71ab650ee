"""Learning code only: encoders, tag learning, ranking, evaluation. No Kafka, no Qdrant, no settings, no clock."""
