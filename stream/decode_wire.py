"""The frames between stream.decode_process and stream.decode_child."""

from __future__ import annotations

import struct

SIZE_PX = 224  # side of the square that comes back
READY = b"mekiki-decode-1\n"  # what a child says first
LENGTH = struct.Struct("<I")  # before each file's bytes
ANSWER = struct.Struct("<BIIQ32s8sI")  # is a picture, width_px, height_px, phash, sha256, format, bytes that follow
