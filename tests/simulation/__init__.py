"""Worlds made from a seed, in which everything goes wrong that can: faults of delivery, found by machine.

One seed is one world: a broker, an index, a disk, and the processes of the service, whose real steps run on one thread
in an order that the seed decides. Any process may die or stand still between two writes while the others go on. In the
end the faults stop, everything drains, and what is there is compared with what follows from the log alone.

`python -m tests.simulation SEED` replays one world and says what happened in it.
"""
