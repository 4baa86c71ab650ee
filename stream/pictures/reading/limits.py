"""What a picture may be and take at most.

Comes in: what its header says. Goes out: nothing, or PolicyError `too_large`, `too_many_pixels`, `too_many_frames`,
`too_much_work`.
"""

from dataclasses import dataclass

from models.errors import PolicyError

Crop = tuple[float, float, float, float]  # left, top, width, height in shares of the upright picture

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)  # the crop that is the picture itself
SLOW = "slow"  # reason for a picture that keeps all limits and takes more than `quick_work`; never a dead letter


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says about its picture before a pixel of it is decoded.

    Attributes:
        format: jpeg, png, gif, webp, bmp, tiff, avif, heic or jxl.
        width_px: as stored, before `orientation`.
        height_px: as stored, before `orientation`.
        passes: a decoder may go over the picture as often: scans of a JPEG.
    """

    format: str
    width_px: int
    height_px: int
    frames: int = 1
    orientation: int = 1
    has_alpha: bool = False
    passes: int = 1

    @property
    def pixels(self) -> int:
        """Width times height of one frame."""
        return self.width_px * self.height_px

    @property
    def work(self) -> int:
        """What a decoder has to do, in pixels of a plain PNG: one core does 30 to 100 million a second.

        A JPEG is decoded at an eighth of its size where that is enough; what is transparent is put on white.
        """
        work = self.pixels * self.passes * (2 if self.has_alpha else 1)
        return work // 8 if self.format == "jpeg" else work


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults suit photographs: 50 megapixels are 150 MB decoded.

    Attributes:
        max_side_px: of the longer side; what a panorama has.
        max_work: of `ImageHeader.work`: what a small file can make a decoder do for many seconds.
        quick_work: of the same: what takes more is answered with SLOW and not decoded.
        memory_bytes: address space a child may add to what it has after its imports.
        deadline_s: processor time for one file.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side_px: int = 100_000
    max_work: int = 250_000_000
    quick_work: int = 250_000_000
    max_frames: int = 1_000
    memory_bytes: int = 1_000_000_000
    deadline_s: float = 10.0


def check_bytes(data: bytes, limits: Limits) -> None:
    """Refuse a file that is too long.

    Raises:
        PolicyError: `too_large`.
    """
    if len(data) > limits.max_bytes:
        raise PolicyError(
            f"file of {len(data)} bytes: expected at most {limits.max_bytes}; post a smaller one", "too_large"
        )


def check_header(header: ImageHeader, limits: Limits) -> None:
    """Refuse a picture by its header.

    Raises:
        PolicyError: `too_many_pixels`, `too_many_frames`, `too_much_work`, SLOW.
    """
    what = f"{header.format} of {header.width_px} x {header.height_px} pixels"
    if header.pixels > limits.max_pixels or max(header.width_px, header.height_px) > limits.max_side_px:
        raise PolicyError(
            f"{what}: expected at most {limits.max_pixels} pixels and {limits.max_side_px} a side; post a smaller one",
            "too_many_pixels",
        )
    if header.work > limits.max_work:
        passes = f" in {header.passes} passes" if header.passes > 1 else ""
        raise PolicyError(f"{what}{passes}: too much to decode; export it as a plain still picture", "too_much_work")
    if header.frames > limits.max_frames:
        raise PolicyError(
            f"{header.format} of {header.frames} frames: expected at most {limits.max_frames}; post a still picture",
            "too_many_frames",
        )
    if header.work > limits.quick_work:
        raise PolicyError(f"{what}: takes long; decode it beside others", SLOW)
