"""`mekiki post|tag|click`: events into the log, as any other producer would post them."""

import hashlib
import mimetypes
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from admin.connect import client_settings
from admin.console import out, progress
from admin.options import DataDir
from admin.people.labels import labels_of, read_labels
from models.errors import UsageError
from stream.events.schema import Event, ImagePosted, PairClicked, TagsApplied, TagsRemoved
from stream.log.produce import LogWriter
from stream.settings import Settings

INLINE_BYTES = 900_000  # larger pictures go by dataref: brokers take records up to 1 MB
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
FLUSH_EVERY = 200  # pictures between two acknowledgements; bounds memory
SOURCE = "mekiki/cli"


def post(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files, folders and globs.")],
    tag: Annotated[list[str] | None, typer.Option(help="Tag for every picture; may be repeated.")] = None,
    tags_from: Annotated[
        Path | None,
        typer.Option(help='JSON lines {"file": "cat.jpg", "tags": ["cat"], "image_id": "...", "complete": true}.'),
    ] = None,
    image_id: Annotated[str | None, typer.Option("--id", help="Id for a single picture; else the file's path.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Post pictures, with tags or without: small ones inline, large ones by dataref and sha256."""
    settings = client_settings(data_dir)
    files = list(expand(paths))
    if not files:
        raise UsageError(
            f"{' '.join(paths)}: no pictures found; expected files ending in {', '.join(sorted(SUFFIXES))}"
        )
    if image_id is not None and len(files) != 1:
        raise UsageError(f"--id {image_id}: expected one picture, found {len(files)}; leave it out")
    labels = read_labels(tags_from) if tags_from is not None else {}
    started_s = time.perf_counter()
    with closing(LogWriter(settings, SOURCE)) as writer, progress() as bar:
        task = bar.add_task("posting", total=len(files), note="")
        for number, (file, default_id) in enumerate(files, start=1):
            label = labels_of(labels, file)
            wanted = image_id or label.image_id or default_id
            writer.send_event(_posted(settings, file, wanted, (*(tag or ()), *label.tags), label.complete))
            if number % FLUSH_EVERY == 0 or number == len(files):
                writer.flush()
            bar.advance(task)
    rate = len(files) / max(time.perf_counter() - started_s, 1e-6)
    out.print(f"posted {len(files)} pictures, {rate:.0f}/s" + (f"; id {wanted}" if len(files) == 1 else ""))


def expand(paths: list[str]) -> Iterator[tuple[Path, str]]:
    """Pictures that files, folders and globs name, each with the id it gets when none is given.

    The id of a picture in a folder is the folder's name and the path inside, so that two folders do not collide.

    Raises:
        UsageError: a path names nothing.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            yield from ((p, f"{path.resolve().name}/{p.relative_to(path).as_posix()}".lstrip("/")) for p in inside)
        elif path.is_file():
            yield path, _default_id(path)
        else:
            anchor = Path(path.anchor) if path.anchor else Path()
            found = sorted(p for p in anchor.glob(str(path.relative_to(anchor))) if p.is_file())
            if not found:
                raise UsageError(f"{text}: no such file, folder or glob; check the path")
            yield from ((p, _default_id(p)) for p in found)


def _default_id(file: Path) -> str:
    return file.name if file.is_absolute() or ".." in file.parts else file.as_posix()


def _posted(settings: Settings, file: Path, image_id: str, tags: tuple[str, ...], complete: bool) -> ImagePosted:
    media_type = mimetypes.guess_type(file.name)[0]
    size = file.stat().st_size
    if size > settings.ingest.max_image_bytes:
        raise UsageError(f"{file}: {size} bytes, expected at most {settings.ingest.max_image_bytes}; make it smaller")
    content = file.read_bytes()
    fields: dict[str, Any] = {"image_id": image_id, "media_type": media_type, "tags": tags, "complete": complete}
    sha256 = hashlib.sha256(content).hexdigest()
    if size > INLINE_BYTES:
        return ImagePosted(**fields, dataref=_upload(settings, file, sha256).as_uri(), sha256=sha256)
    return ImagePosted(**fields, content=content, sha256=sha256)


def _upload(settings: Settings, file: Path, sha256: str) -> Path:
    """Put a large picture where the ingest worker may read it, unless its folder is allowed already."""
    real = file.resolve()
    if any(real.is_relative_to(root.expanduser().resolve()) for root in settings.ingest.dataref_roots):
        return real
    folder = settings.data_path.absolute() / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{sha256}{file.suffix.lower()}"
    if not target.exists():
        partial = target.with_suffix(".part")
        shutil.copyfile(real, partial)
        partial.replace(target)
    return target


def tag(
    image_id: str,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off instead.")] = False,
    complete: Annotated[bool, typer.Option("--complete", help="With these the picture's list is exhaustive.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Tag a picture, or take tags off it."""
    event: Event = TagsApplied(image_id=image_id, tags=tuple(tags), by=SOURCE, complete=complete)
    if remove:
        event = TagsRemoved(image_id=image_id, tags=tuple(tags), by=SOURCE)
    send(client_settings(data_dir), event)
    out.print(f"{'removed from' if remove else 'tagged'} {image_id}: {', '.join(tags)}", markup=False)


def click(preferred_id: str, over_id: str, data_dir: DataDir = None) -> None:
    """Say that of two pictures you prefer the first."""
    if preferred_id == over_id:
        raise UsageError(f"{preferred_id} twice: expected two pictures; name the other one")
    send(client_settings(data_dir), PairClicked(preferred=preferred_id, over=over_id, session_id="cli"))
    out.print(f"preferred {preferred_id} over {over_id}", markup=False)


def send(settings: Settings, event: Event) -> None:
    """Put one event into the log; it is durable on return."""
    with closing(LogWriter(settings, SOURCE)) as writer:
        writer.send_event(event)
        writer.flush()
