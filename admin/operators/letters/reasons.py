"""What the reason codes of dead letters mean to a person, and what to do about each; data alone."""

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason in words, and the remedy."""

    words: str
    remedy: str


_HEADERS = "mend the producer's headers, then post it again"
_BODY = "mend the producer's body, then post it again"
_EXPORT = "export the picture again, as JPEG, PNG or WebP, and post that"
_SMALLER = "make the picture smaller and post that, or raise MEKIKI_INGEST__MAX_..."
_LATER = "mend what kept it away, then `mekiki dlq replay`"
OTHER = Reason("a reason that this version does not know", "see `mekiki dlq show ID`")
REASONS = {
    "missing_headers": Reason("a header that CloudEvents need is missing", _HEADERS),
    "bad_header": Reason("a header breaks its rule", _HEADERS),
    "wrong_key": Reason("the record's key is not the image id", "post it with the image id as its key"),
    "unknown_type": Reason("an event type that nobody knows", _HEADERS),
    "wrong_topic": Reason("the event belongs on another topic", "post it there"),
    "bad_json": Reason("the body is no JSON object", _BODY),
    "bad_event": Reason("a field is missing, unknown or breaks its rule", _BODY),
    "empty": Reason("there are no bytes", "post the picture's bytes"),
    "not_an_image": Reason("the bytes are no picture that can be read", _EXPORT),
    "unsupported_format": Reason("a picture format that is not read", "export it as PNG or JPEG"),
    "truncated": Reason("the bytes are only the beginning of a picture", "fetch the whole file and post that"),
    "too_large": Reason("the file is too large", _SMALLER),
    "too_many_pixels": Reason("the picture has too many pixels", _SMALLER),
    "too_many_frames": Reason("the picture has too many frames", "post one frame of it"),
    "too_much_work": Reason("a small file that takes long to decode", _EXPORT),
    "decode_memory": Reason("decoding took too much memory", _SMALLER),
    "decode_timeout": Reason("decoding took too long", _EXPORT),
    "decode_crashed": Reason("decoding ended in a crash", _EXPORT),
    "dataref_forbidden": Reason(
        "the reference is outside what is allowed", "allow it in MEKIKI_INGEST__DATAREF_ROOTS or _HOSTS, then replay"
    ),
    "dataref_missing": Reason("there is nothing where the reference points", "put it there, then `mekiki dlq replay`"),
    "dataref_unavailable": Reason("the reference's server or disk did not answer", _LATER),
    "sha256_mismatch": Reason("the bytes are not those that the event names", "post it again with their sha256"),
    "bad_tag": Reason("a tag that cannot be one", "correct it, then tag again"),
    "unknown_image": Reason("the picture was never posted", "post it, then `mekiki dlq replay`"),
    "image_deleted": Reason("the picture was deleted", "nothing, or post it again"),
    "unknown_impression": Reason("the page that was clicked on was never reported", "post impressions before clicks"),
    "unreadable": Reason("a damaged batch of the log, let pass", "have its producer post it again"),
    "internal": Reason("a fault of mekiki", "please report it with `mekiki dlq show ID`"),
    "policy": Reason("outside the limits", "see `mekiki dlq show ID`"),
}


def reason_of(code: str) -> Reason:
    """What a code means."""
    return REASONS.get(code, OTHER)
