"""`python -m tests.simulation SEED [SABOTAGE]` replays one world; `... FIRST END --json` runs many and counts."""

import sys

from tests.simulation.run import main

main(sys.argv[1:])
