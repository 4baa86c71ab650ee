"""The way of an event, one step a file.

    EVENT ──► JOIN ──► DECODE, EMBED ──► APPLY, WRITE ──► INDEX ──► LEARN
    codec     join     prepare           apply, write     index     learn_tags, learn_ranking
    events    known    decode            example          index_edge, index_qdrant, index_remote

`consume` polls Kafka and knows where to start, `pipeline` joins the steps, `dead_letter` keeps what no step can
take, `checkpoint` holds learned state and offsets as one unit, `published` tells the search API who serves what.
Imports go one way: admin and search import stream, stream imports models, models imports neither.
"""
