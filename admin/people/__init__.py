"""Commands of people who post, tag, search and click.

In: what a person typed. Out: events in the log, answers of the search API.
"""
