"""The processes of a world: ingest workers and learners, whose real steps are taken one at a time."""
