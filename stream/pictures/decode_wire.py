"""The frames between stream.pictures.decode_process and stream.pictures.decode_child."""

import struct

UNREADABLE, PICTURE, REFUSED = range(3)  # of an answer: DecodeError, pixels, PolicyError
READY = b"mekiki-decode-1\n"  # what a child says first
REQUEST = struct.Struct("<I4f")  # before each file's bytes: their length; left, top, width, height of the crop
ANSWER = struct.Struct(
    "<BII32s8sI"
)  # status, width_px, height_px, sha256, format, bytes that follow: look and pixels, or a reason
