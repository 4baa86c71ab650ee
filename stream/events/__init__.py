"""What travels: frozen event types, their CloudEvents form, training examples, and the AsyncAPI document of them.

In: bytes, keys and headers of records. Out: checked events, and back.
"""
