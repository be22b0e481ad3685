# SPDX-License-Identifier: GPL-2.0-or-later
"""Read TOML files that users write, and say what is wrong with one, and where."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from pinrace.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def _compiles(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"no regular expression: {exc}") from exc
    return text


Pattern = Annotated[str, AfterValidator(_compiles)]  # a field that is a regular expression


def read(model: type[Model], path: Path, what: str, *, hint: str = "") -> Model:
    """Return the file as that model.

    what: how an error goes on after the path, for example "is no matrix".  Raises UserError for a
    file that cannot be read, is no TOML, or is not of the model.
    """
    return check(model, table(path, hint=hint), path, what, hint=hint)


def table(path: Path, *, hint: str = "") -> dict[str, Any]:
    """Return what the file says; UserError when it cannot be read or is no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UserError(f"cannot read {path}: {exc.strerror}", hint=hint) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError(f"{path} is no TOML: {exc}", hint=hint) from exc


def check(
    model: type[Model], said: dict[str, Any], path: Path, what: str, *, hint: str = ""
) -> Model:
    """Return the table of a file as that model; UserError names each field that is wrong."""
    try:
        return model.model_validate(said)
    except ValidationError as exc:
        lines = (f"\n  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors())
        raise UserError(f"{path} {what}:{''.join(lines)}", hint=hint) from exc
