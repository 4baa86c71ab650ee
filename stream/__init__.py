"""The way of an event, room by room.

    EVENT ──► LOG ──► INGEST: DECODE ► EMBED ► APPLY ► WRITE ──► INDEX
    events/   log/    ingest/, with pictures/ for bytes           index/
                                                └──► examples.v1 ──► LEARN ──► model versions ──► search
                                                     clicks.v1        learn/    log/model_versions

`workers` builds each process from `settings`, `process` tunes it, `stopping` and `retry` say how it ends and waits.
Imports go one way, from the ground up: models, then these files, events, log, pictures, index, ingest, learn, workers.
"""
