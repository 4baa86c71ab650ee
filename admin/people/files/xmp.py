"""What a picture's XMP and IPTC say of it: keywords, title, author, source.

In: an XMP packet, or the bytes of a picture. Out: `Said`. Raises ValueError for a packet that is no XML; what a picture
says in no way that is known here is nothing.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from admin.people.files.labels import Said

MAX_PACKET_BYTES = 4_000_000  # editors write less than 100 KB
_DC = "{http://purl.org/dc/elements/1.1/}"
_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_XMP_SEGMENT, _PHOTOSHOP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_IPTC = 0x0404  # the resource of a Photoshop segment that holds it
_PACKET = re.compile(rb"<x:xmpmeta\b.*?</x:xmpmeta\s*>", re.DOTALL)
_KEYWORD, _TITLE, _AUTHOR, _CHARSET = (2, 25), (2, 5), (2, 80), (1, 90)
_UTF8 = b"\x1b%G"  # how IPTC says that it is UTF-8


def of_xmp(packet: bytes) -> Said:
    """Of an XMP packet.

    Raises:
        ValueError: no XML, too large, or with a document type: entities could make it grow without bound.
    """
    if len(packet) > MAX_PACKET_BYTES:
        raise ValueError(f"{len(packet)} bytes, expected at most {MAX_PACKET_BYTES}")
    is_utf16 = packet.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = packet if is_utf16 else packet.strip(b"\0 \r\n\t")  # some are padded
    if b"<!" in text.replace(b"\0", b"").replace(b"<!--", b""):
        raise ValueError("a document type or CDATA, expected plain elements")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"expected XML, {error}") from None
    source = next((value for value in _values(root, "source") if value.lower().startswith(("http:", "https:"))), "")
    said = {"title": "".join(_values(root, "title")[:1]), "author": ", ".join(_values(root, "creator"))}
    return Said(tags=tuple(_values(root, "subject")), details=_given(said | {"source_url": source}))


def _values(root: ElementTree.Element, name: str) -> list[str]:
    """The values of a property of Dublin Core: items of its list, or its text."""
    values = [one.attrib[_DC + name] for one in root.iter() if _DC + name in one.attrib]
    for one in root.iter(_DC + name):
        items = [item.text or "" for item in one.iter(_ITEM)]
        values += items or [one.text or ""]
    return list(dict.fromkeys(value.strip() for value in values if value.strip()))


def of_picture(content: bytes) -> Said:
    """Of the bytes of a picture: IPTC and XMP of a JPEG, and a plain packet in any other format."""
    said = Said()
    if content.startswith(b"\xff\xd8"):
        for marker, data in _segments(content):
            if marker == 0xE1 and data.startswith(_XMP_SEGMENT):
                said = said.then(_of_xmp_or_nothing(data[len(_XMP_SEGMENT) :]))
            elif marker == 0xED and data.startswith(_PHOTOSHOP_SEGMENT):
                said = _of_iptc(data[len(_PHOTOSHOP_SEGMENT) :]).then(said)
        return said
    found = _PACKET.search(content)
    return _of_xmp_or_nothing(found[0]) if found else said


def _of_xmp_or_nothing(packet: bytes) -> Said:
    try:
        return of_xmp(packet)
    except ValueError:
        return Said()


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers of a JPEG with their data, up to its pixels."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xDA or length < 2:
            return
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length


def _of_iptc(resources: bytes) -> Said:
    fields: dict[tuple[int, int], list[bytes]] = {}
    for name, data in _datasets(_resource(resources, _IPTC)):
        fields.setdefault(name, []).append(data)
    is_utf8 = _UTF8 in fields.get(_CHARSET, ())

    def texts(name: tuple[int, int]) -> list[str]:
        return [text for data in fields.get(name, ()) if (text := _text(data, is_utf8))]

    said = {"title": "".join(texts(_TITLE)[:1]), "author": ", ".join(texts(_AUTHOR))}
    return Said(tags=tuple(dict.fromkeys(texts(_KEYWORD))), details=_given(said))


def _text(data: bytes, is_utf8: bool) -> str:
    try:
        text = data.decode("utf-8")  # many programs write it without saying so
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace") if is_utf8 else data.decode("latin-1")
    return text.strip("\0 \r\n\t")


def _resource(data: bytes, wanted: int) -> bytes:
    """One resource of a Photoshop segment: `8BIM`, its number, a name, and its length."""
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        number, name = int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6]
        begin = at + 6 + name + 1 + (name + 1) % 2
        length = int.from_bytes(data[begin : begin + 4], "big")
        if number == wanted:
            return data[begin + 4 : begin + 4 + length]
        at = begin + 4 + length + length % 2
    return b""


def _datasets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """The datasets of IPTC: 0x1C, record, number, length; longer than 32 KB none of ours is."""
    at = 0
    while data[at : at + 1] == b"\x1c" and at + 5 <= len(data):
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if length > 0x7FFF:
            return
        yield (data[at + 1], data[at + 2]), data[at + 5 : at + 5 + length]
        at += 5 + length


def _given(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value}
