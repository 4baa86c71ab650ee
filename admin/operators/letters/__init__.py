"""Dead letters for people: what each is about, why it is dead, what to do.

In: dead letters. Out: names, words, tables. Nothing fails.
"""
