# SPDX-License-Identifier: GPL-2.0-or-later
"""A Patchwork server, by its REST API 1.2: series of a project, and checks on their patches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import requests
from pydantic import BaseModel, TypeAdapter, ValidationError

from pinrace import net
from pinrace.errors import InfrastructureError, UserError
from pinrace.values import Verdict

TOKEN = "PINRACE_PATCHWORK_TOKEN"  # the variable that holds a maintainer's
PAGE = 50  # series of one answer
PAGES = 20  # at most, for one look
DESCRIPTION = 255  # characters of a check's description, by the server's model
# A verdict that says nothing of the series is a warning at most.
STATES = {Verdict.PASS: "success", Verdict.FAIL: "fail"}


class _Patch(BaseModel):
    id: int
    msgid: str = ""


class _Series(BaseModel):
    id: int
    name: str | None = None
    received_all: bool = False
    mbox: str
    web_url: str | None = None
    cover_letter: _Patch | None = None
    patches: tuple[_Patch, ...] = ()


_LIST = TypeAdapter(tuple[_Series, ...])


def token() -> str:
    """Return the maintainer's token; UserError when it is not set."""
    if found := os.environ.get(TOKEN):
        return found
    raise UserError(f"${TOKEN} is not set", hint="a maintainer's token, from the profile")


def encrypted(url: str) -> str:
    """Return a URL; UserError when anybody on the way could change what it brings."""
    if not net.is_encrypted(url):
        raise UserError(f"'{url}' is not encrypted", hint="url = 'https://…'")
    return url


@dataclass(frozen=True)
class Found:
    """A series that the server has whole."""

    id: int
    name: str
    mbox: str  # URL
    message: str  # id of its first mail, without <>
    patches: tuple[int, ...]


@dataclass(frozen=True)
class Server:
    """A server and one of its projects; url is that of the server, without /api."""

    url: str
    project: str

    def __post_init__(self) -> None:
        encrypted(self.url)

    def series(self, after: int) -> list[Found]:
        """Return the series with a greater id that are there whole, the oldest first.

        Raises InfrastructureError when the server does not answer, or says something else.
        """
        found: dict[int, _Series] = {}
        for page in range(1, PAGES + 1):
            query = {"project": self.project, "order": "-id", "per_page": PAGE, "page": page}
            batch = self._page(query)
            found |= {one.id: one for one in batch if one.id > after}
            if len(batch) < PAGE or min(one.id for one in batch) <= after:
                break
        whole = [found[number] for number in sorted(found) if found[number].received_all]
        return [
            Found(
                one.id,
                one.name or f"series {one.id}",
                one.mbox,
                (one.cover_letter or one.patches[0]).msgid.strip("<>"),
                tuple(patch.id for patch in one.patches),
            )
            for one in whole
            if one.patches
        ]

    def _page(self, query: dict[str, Any]) -> tuple[_Series, ...]:
        answer = self._ask("GET", "series/", params=query)
        if answer.status_code == 404 and query["page"] > 1:
            return ()
        self._good(answer)
        try:
            return _LIST.validate_json(answer.content)
        except ValidationError as exc:
            raise InfrastructureError(
                f"{self.url} is no Patchwork server: {exc.errors()[0]['msg']}"
            ) from exc

    def check(self, patch: int, verdict: Verdict, *, context: str, said: str, url: str) -> None:
        """Post a check on a patch; InfrastructureError when the server does not take it."""
        body = {
            "state": STATES.get(verdict, "warning"),
            "context": context,
            "description": said[:DESCRIPTION],
            **({"target_url": url} if url else {}),
        }
        headers = {"Authorization": f"Token {token()}"}
        self._good(self._ask("POST", f"patches/{patch}/checks/", json=body, headers=headers))

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        url = f"{self.url.rstrip('/')}/api/1.2/{path}"
        try:
            with net.session() as web:
                return web.request(
                    method, url, timeout=net.TIMEOUT, allow_redirects=method == "GET", **more
                )
        except requests.RequestException as exc:
            raise InfrastructureError(f"{self.url} does not answer: {exc}") from exc

    def _good(self, answer: requests.Response) -> None:
        if answer.status_code // 100 != 2:
            hint = f"has the server a project '{self.project}'?"
            if answer.request.method == "POST":
                hint = f"is ${TOKEN} that of a maintainer of {self.project}?"
            raise InfrastructureError(
                f"{answer.url} says {answer.status_code} {answer.reason}", hint=hint
            )
