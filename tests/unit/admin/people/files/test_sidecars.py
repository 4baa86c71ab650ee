"""Tags beside a picture, in folders' names, and inside it: IPTC and XMP."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.people.files.labels import Said
from admin.people.files.sidecars import beside, folders, inside, sidecars_of
from admin.people.files.walk import Picture
from admin.people.files.xmp import of_picture, of_xmp
from tests.e2e.conftest import drawing

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="https://example.org/1">
<dc:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>赤い &amp; blue</rdf:li><rdf:li/></rdf:Bag></dc:subject>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Cat</rdf:li><rdf:li xml:lang="de">Katze</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Ada</rdf:li><rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
SAID = Said(
    tags=("cat", "赤い & blue"), details={"title": "Cat", "author": "Ada, Bob", "source_url": "https://example.org/1"}
)


def test_an_xmp_packet_says_tags_title_author_and_source():
    assert of_xmp(XMP.encode()) == SAID
    assert of_xmp(XMP.encode("utf-16")) == SAID
    assert of_xmp(b"<a xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:subject>one</dc:subject></a>").tags == ("one",)


@pytest.mark.parametrize("packet", [
    b"", b"<a", b"\xff\xff", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<a>&unknown;</a>", b"<a>" * 5_000_001,
    "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".encode("utf-16"), b"<?xml version='1.0' encoding='nonsense'?><a/>",
])  # fmt: skip
def test_a_packet_that_is_none_or_may_grow_is_refused(packet):
    with pytest.raises(ValueError, match="expected"):
        of_xmp(packet)


def dataset(record, number, data):
    return b"\x1c" + bytes([record, number]) + len(data).to_bytes(2, "big") + data


def resource(number, data, name=b""):
    padded = bytes([len(name)]) + name + b"\0" * ((len(name) + 1) % 2)
    return b"8BIM" + number.to_bytes(2, "big") + padded + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)


def jpeg(*segments):
    """A drawing with these markers behind its start."""
    plain = drawing(3, ".jpg")
    written = b"".join(bytes([0xFF, m]) + (len(data) + 2).to_bytes(2, "big") + data for m, data in segments)
    return plain[:2] + written + plain[2:]


def iptc(*datasets):
    return 0xED, b"Photoshop 3.0\0" + resource(0x03ED, b"odd", b"name") + resource(0x0404, b"".join(datasets))


@pytest.mark.parametrize(("charset", "word"), [
    (b"\x1b%G", "赤い".encode()), (b"", "赤い".encode()), (b"", "Café".encode("latin-1")),
])  # fmt: skip
def test_iptc_keywords_of_a_jpeg(charset, word):
    content = jpeg(iptc(dataset(1, 90, charset), dataset(2, 25, b"cat\0"), dataset(2, 25, word), dataset(2, 5, b"Tom")))
    expected = word.decode("latin-1" if b"Caf" in word else "utf-8")
    assert of_picture(content) == Said(tags=("cat", expected), details={"title": "Tom"})


def test_xmp_and_iptc_of_a_jpeg_together_and_xmp_of_other_formats(tmp_path):
    packet = (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode())
    both = of_picture(jpeg((0xE1, b"Exif\0\0"), packet, iptc(dataset(2, 25, b"cat"), dataset(2, 25, b"iptc"))))
    assert both == Said(tags=("cat", "iptc", "赤い & blue"), details=SAID.details)
    (tmp_path / "a.png").write_bytes(drawing(1)[:40] + XMP.encode() + drawing(1)[40:])
    assert inside(tmp_path / "a.png") == SAID
    assert of_picture(drawing(1)) == of_picture(b"") == of_picture(jpeg((0xE1, packet[1][:60]))) == Said()


@given(st.binary(max_size=80), st.sampled_from([0xE1, 0xED, 0xFF, 0x00]), st.sampled_from([
    b"", b"Photoshop 3.0\0", b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x20\x1c\x02\x19", b"http://ns.adobe.com/xap/1.0/\0"
]))  # fmt: skip
def test_any_bytes_say_something_or_nothing(data, marker, begin):
    said = of_picture(b"\xff\xd8\xff" + bytes([marker]) + (len(begin + data) + 2).to_bytes(2, "big") + begin + data)
    assert all(tag.strip() for tag in said.tags)


@pytest.mark.parametrize(("name", "text", "tags"), [
    ("cat.txt", "1girl, long_hair,\n red panda ", ("1girl", "long_hair", "red panda")),
    ("cat.txt", "1girl long_hair red_panda", ("1girl", "long_hair", "red_panda")),
    ("cat.txt", "red panda\nblue\n", ("red panda", "blue")),
    ("cat.jpg.txt", "\ufeffred panda\r\n\r\nblue", ("red panda", "blue")),
    ("cat.jpg.txt", "cat, dog", ("cat, dog",)),
    ("cat.xmp", XMP, SAID.tags),
    ("cat.jpg.xmp", XMP, SAID.tags),
    ("other.txt", "no", ()),
])  # fmt: skip
def test_files_beside_a_picture(tmp_path, name, text, tags):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert beside(tmp_path / "cat.jpg").tags == tags
    assert (tmp_path / name in sidecars_of([tmp_path / "cat.jpg"])) == bool(tags)


@pytest.mark.parametrize(("name", "content"), [
    ("cat.txt", b"\xff\xfe\x00"), ("cat.xmp", b"<a"), ("cat.jpg.txt", b"x" * 4_000_001)
])  # fmt: skip
def test_a_file_beside_that_cannot_be_read_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: .*correct it or take it away"):
        beside(tmp_path / "cat.jpg")


def test_a_name_as_long_as_can_be_has_nothing_beside_it(tmp_path):
    assert beside(tmp_path / ("x" * 251 + ".jpg")) == Said()


def test_names_of_folders_are_tags():
    assert folders(Picture(Path("in/a/b/0.jpg"), "a/b/0.jpg", "in")).tags == ("a", "b")
    assert folders(Picture(Path("in/0.jpg"), "0.jpg", "in")).tags == ("in",)
    assert folders(Picture(Path("0.jpg"), "0.jpg")).tags == ()
