"""Files that somebody names on the command line, read within bounds.

In: a path. Out: bytes. Raises UsageError for what is no file, or has no end.
"""

from pathlib import Path

from models.errors import UsageError


def read_bounded(path: Path, what: str, most_bytes: int) -> bytes:
    """The bytes of a file, or what comes out of a pipe.

    Raises:
        UsageError: there is no such file, or there is more in it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except IsADirectoryError:
        raise UsageError(f"{path}: a folder; expected {what}") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path}: no such file; expected {what}, check the path") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); expected {what}") from None
    if len(content) > most_bytes:
        raise UsageError(f"{path}: more than {most_bytes} bytes; expected {what}")
    return content
