"""How well small things in large pictures are found: made scenes, searched through the real index."""
