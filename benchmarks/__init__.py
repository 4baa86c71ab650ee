"""Scenarios with permanent ids, seeded, no network; `mekiki bench NAME` runs them. See benchmarks/README.md."""
