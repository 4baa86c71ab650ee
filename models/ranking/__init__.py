"""Ranking by preference: pairs.py reads clicks, ranknet.py learns from them, published.py answers without torch."""
