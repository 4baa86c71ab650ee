"""The tag learner: exact sums, evidence, calibration, snapshots. Knows nothing of Kafka or Qdrant."""
