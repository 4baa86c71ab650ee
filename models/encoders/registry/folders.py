"""Encoders on disk: one folder each, named as the encoder, with `manifest.json` and the files that it names.

In: a folder of such folders, which may be missing. Out: manifests and paths of files, whose hashes are checked. Raises
ConfigurationError for a name that is not there or a folder that is damaged, StorageUnavailableError for a full disk.
A folder appears whole, by one rename, or not at all.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from models.encoders.efficientnet.outputs import VARIANTS
from models.encoders.efficientnet.weights import weights_path
from models.encoders.registry.manifest import PROJECTION, Input, Manifest, read_manifest
from models.errors import ConfigurationError, StorageUnavailableError, UsageError

DEFAULT = "efficientnet-lite0"
MANIFEST = "manifest.json"
PACKAGED = "weights.pth"  # of a built-in network, in its package: named in a manifest, in no folder
SHIPPED = Path(__file__).parents[1] / "projection_openmoji.safetensors"  # of the default encoder
_ABOUT = {DEFAULT: "ImageNet weights, projection fitted on OpenMoji; the default"}


def sha256_of(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"file {path}: cannot be read ({error.strerror}); put it back") from error


class EncoderFolders:
    """The encoders there are; a name that is built in cannot be taken by a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Built-in ones first, then folders by name."""
        return [*VARIANTS, *sorted(path.parent.name for path in self._manifests())]

    def manifest(self, name: str) -> Manifest:
        """What the encoder is; its files are there, but for those of a built-in one's package.

        Raises:
            ConfigurationError: no such encoder, or its manifest is wrong.
        """
        if name in VARIANTS:
            return _built_in(name)
        path = self.path(name) / MANIFEST
        if self.folder is None or not path.is_file():
            raise ConfigurationError(f"encoder {name!r}: expected one of {', '.join(self.names())}")
        manifest = read_manifest(path.read_text(encoding="utf-8"), str(path))
        if manifest.name != name:
            raise ConfigurationError(f"{path}: name {manifest.name!r}: expected that of its folder; correct it")
        return manifest

    def path(self, name: str) -> Path:
        """The folder of an encoder that is not built in."""
        return (self.folder or Path()) / name

    def file(self, manifest: Manifest, name: str) -> Path:
        """A file of an encoder, with the hash that the manifest says.

        Raises:
            ConfigurationError: missing, truncated or swapped.
        """
        path = self._where(manifest, name)
        if manifest.files.get(name) != sha256_of(path):
            raise ConfigurationError(
                f"file {path}: is not the one that {MANIFEST} describes; import or make encoder {manifest.name!r} again"
            )
        return path

    def _where(self, manifest: Manifest, name: str) -> Path:
        if name == PACKAGED and manifest.network in VARIANTS:
            return weights_path(VARIANTS[manifest.network])
        if name == PROJECTION and manifest.name in VARIANTS:
            return SHIPPED
        return self.path(manifest.name) / name

    def check_free(self, name: str) -> None:
        """Whether an encoder of this name may be made.

        Raises:
            UsageError: there is one.
        """
        if name in VARIANTS or self.path(name).exists():
            raise UsageError(f"encoder {name!r}: is there already; choose another name with --as")

    def install(self, manifest: Manifest, files: Mapping[str, Path], *, replace: bool = False) -> Manifest:
        """Make the folder of an encoder out of these files; the manifest gets their hashes.

        Args:
            manifest: what it is.
            files: paths of its files, by the names that they will have.
            replace: whether it may take the place of one of the same name.

        Raises:
            UsageError: there is an encoder of this name.
            StorageUnavailableError: the folder cannot be written.
        """
        assert self.folder is not None
        if not replace:
            self.check_free(manifest.name)
        made: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(dir=self.folder, prefix=".new-"))
            for name, path in files.items():
                shutil.copyfile(path, made / name)
            digests = {name: sha256_of(made / name) for name in files} | _packaged(manifest.network)
            manifest = manifest.model_copy(update={"files": digests})
            (made / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            made.chmod(0o755)
            shutil.rmtree(self.path(manifest.name), ignore_errors=True)
            made.rename(self.path(manifest.name))
        except OSError as error:
            raise StorageUnavailableError(
                f"encoder folder {self.folder}: {error.strerror}; free some space and try again"
            ) from error
        finally:
            if made is not None and made.exists():
                shutil.rmtree(made, ignore_errors=True)
        return manifest

    def _manifests(self) -> list[Path]:
        return [] if self.folder is None else list(self.folder.glob("[!.]*/" + MANIFEST))


def _packaged(network: str) -> dict[str, str]:
    """Digest of what a built-in network's package has: whoever has this network has these weights."""
    return {PACKAGED: sha256_of(weights_path(VARIANTS[network]))} if network in VARIANTS else {}


def _built_in(name: str) -> Manifest:
    variant, files = VARIANTS[name], _packaged(name)
    if name == DEFAULT:
        files[PROJECTION] = sha256_of(SHIPPED)
    return Manifest(
        name=name,
        about=_ABOUT.get(name, "ImageNet weights, no projection"),
        licence="Apache-2.0",
        network=name,
        input=Input(size_px=variant.size_px, mean=(127.0,), deviation=(128.0,), layout="nhwc"),
        parts=variant.parts,
        projection=PROJECTION if name == DEFAULT else None,
        files=files,
    )  # fmt: skip
