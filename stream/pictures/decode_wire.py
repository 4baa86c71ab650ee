"""The frames between stream.pictures.decode_process and stream.pictures.decode_child."""

import struct

UNREADABLE, PICTURE, REFUSED, THUMBNAIL = range(4)  # of an answer: DecodeError, pixels, PolicyError, WebP
READY = b"mekiki-decode-1\n"  # what a child says first
# before each file's bytes: their length; left, top, width, height of the crop; longer side of a thumbnail, 0 for pixels
REQUEST = struct.Struct("<I4fH")
ANSWER = struct.Struct(
    "<BII32s8sI"
)  # status, width_px, height_px, sha256, format, bytes that follow: look and pixels, a WebP, or a reason
