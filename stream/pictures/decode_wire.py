"""The frames between stream.pictures.decode_process and stream.pictures.decode_child."""

import struct

SIZE_PX = 224  # side of the square that comes back
READY = b"mekiki-decode-1\n"  # what a child says first
REQUEST = struct.Struct("<I4f")  # before each file's bytes: their length; left, top, width, height of the crop
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the crop that is the picture itself
ANSWER = struct.Struct("<BIIQ32s8sI")  # is a picture, width_px, height_px, phash, sha256, format, bytes that follow
