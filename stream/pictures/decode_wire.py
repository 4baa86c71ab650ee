"""The frames between stream.pictures.decode_process and stream.pictures.decode_child."""

import struct

# of an answer: DecodeError, pixels, PolicyError, WebP, parts
UNREADABLE, PICTURE, REFUSED, THUMBNAIL, REGIONS = range(5)
READY = b"mekiki-decode-2\n"  # what a child says first
# before each file's bytes: their length; left, top, width, height of the crop; longer side of a thumbnail, 0 for none;
# how many regions are wanted, 0 for none
REQUEST = struct.Struct("<I4fHB")
ANSWER = struct.Struct(
    "<BII32s8sI"
)  # status, width_px, height_px, sha256, format, bytes that follow: look and pixels, a WebP, regions, or a reason
BOX = struct.Struct("<4f")  # of each region, all of them before the pixels
