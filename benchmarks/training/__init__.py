"""N1: networks trained on OpenMoji, each beside what it should be better than."""
