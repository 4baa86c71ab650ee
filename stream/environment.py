"""Settings from the environment, and back into it for child processes; built once, at the entry point.

In: the environment. Out: one frozen `Settings`. Raises ConfigurationError, naming the variable and the remedy.
"""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource

from models.errors import ConfigurationError
from stream.settings import DELIMITER, PREFIX, Section, Settings

TEST_PREFIX = "MEKIKI_TEST_"  # read by the test suite, not by the service
SECRETS = ("PASSWORD", "_KEY", "_KEY_NEXT")  # how names of secrets end
PARENT_PIPE = "MEKIKI_PARENT_PIPE"  # the embedded service sets it: standard input closes when it dies


def known_variables() -> set[str]:
    """Every environment variable that means something to `Settings`, in upper case."""
    return {PARENT_PIPE, *(name for name, _ in _variables(Settings()))}


def load_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Build the settings of this process; `overrides` go before the environment.

    Raises:
        ConfigurationError: a variable is unknown, or a value is outside its rule.
    """
    environment = os.environ if environment is None else environment
    known = known_variables()
    for name in sorted(environment):
        upper = name.upper()
        if upper.startswith(PREFIX) and not upper.startswith(TEST_PREFIX) and upper not in known:
            near = difflib.get_close_matches(upper, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`mekiki doctor` lists the known ones"
            raise ConfigurationError(f"environment variable {name}: expected a known setting; {hint}")
    try:
        return Settings(**_merged(_read(environment), overrides))
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + DELIMITER.join(str(part) for part in first["loc"]).upper()
        shown = "********" if name.endswith(SECRETS) else repr(first.get("input"))
        raise ConfigurationError(f"{name} {shown}: {first['msg']}; correct the variable") from error
    except ValueError as error:  # pydantic-settings: a nested value that is not the JSON it must be
        raise ConfigurationError(f"settings: {error}; lists are written as JSON, e.g. '[\"/pictures\"]'") from error


def _read(environment: Mapping[str, str]) -> dict[str, Any]:
    fields: Any = Settings  # a source only looks at these, whatever class has them
    source = EnvSettingsSource(fields, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter=DELIMITER)
    source.env_vars = {name.lower(): value for name, value in environment.items() if value}  # an empty one sets nothing
    return source()


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name for name in below.keys() & above.keys() if isinstance(below[name], dict)}
    return below | {name: below[name] | dict(item) if name in both else item for name, item in above.items()}


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables for a child process; `load_settings` there gives the same back."""
    return {
        name: _as_text(value)
        for name, value in _variables(settings)
        if value is not None and not isinstance(value, Section)
    }


def _variables(settings: Section, prefix: str = PREFIX) -> Iterator[tuple[str, object]]:
    """The variable of each field and its value; of a section, that of the whole and those of its fields."""
    for field, value in settings:
        name = f"{prefix}{field}".upper()
        yield name, value
        if isinstance(value, Section):
            yield from _variables(value, name + DELIMITER)


def masked(settings: Settings) -> dict[str, str]:
    """As `as_environment`, with secrets shown as ********, those inside URLs too."""
    secret = {name for name, value in _variables(settings) if isinstance(value, SecretStr)}
    flat = as_environment(settings)
    return {key: "********" if key in secret else without_credentials(value) for key, value in flat.items()}


def without_credentials(url: str) -> str:
    """`https://me:secret@host/path` as `https://********@host/path`; other text stays as it is."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "********@", url)


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, (str, Path)) else json.dumps(value, default=str, ensure_ascii=False)
