"""Words that people look for, and what they mean.

In: a line as somebody types it, and the tags of the version that serves. Out: tags, examples and words of titles, as
search.query asks for them; completions while somebody types; how well pictures fit several tags at once. Pure: it asks
no index, but through a function that it is given.
"""
