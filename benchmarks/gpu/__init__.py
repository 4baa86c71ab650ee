"""In: a machine with a GPU. Out: what its tests said and how fast it is (G1), each part in a process of its own."""
