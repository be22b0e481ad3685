# SPDX-License-Identifier: GPL-2.0-or-later
"""hosts.toml: which machines a fleet has, how to log into them, and whose keys they have."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrace import userfile

TAG = r"^[a-z0-9][a-z0-9._-]*$"
ADDRESS = r"^[A-Za-z0-9:\[][A-Za-z0-9._:%\[\]-]*$"  # ssh takes a leading dash for an option


class Host(BaseModel):
    """One machine.  Its key is pinned: another one is refused, and none is ever learnt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=TAG)
    address: str = Field(
        pattern=ADDRESS, description="of its sshd, which all other hosts reach too"
    )
    host_key: str = Field(pattern=r"^(ssh|ecdsa)-\S+ \S+", description="a line of its *_key.pub")
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(default="root", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$")
    key: Path | None = Field(default=None, description="private key; without: those of the agent")
    folder: str = Field(
        default=".pinrace-fleet",
        pattern=r"^/?([A-Za-z0-9._-]+/)*[A-Za-z0-9._-]*pinrace[A-Za-z0-9._-]*$",
        description="all that pinrace leaves there, and `clean` removes; relative to the home",
    )
    python: str = Field(default="", description="of an environment that is there; nothing is sent")
    slots: int = Field(default=0, ge=0, description="CPUs for guests; 0: all")
    tags: tuple[str, ...] = Field(default=(), description='e.g. "native-arm64"')


class Hosts(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(description="of this machine, as the hosts reach it")
    port: int = Field(default=0, ge=0, le=65535, description="of the scheduler; 0: a free one")
    host: tuple[Host, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Hosts:
        names = [host.name for host in self.host]
        twice = sorted({name for name in names if names.count(name) > 1})
        if any(".." in Path(host.folder).parts for host in self.host):
            raise ValueError("a folder leads out of where it is")
        if twice:
            raise ValueError(f"two hosts are called {', '.join(twice)}")
        return self


def load(path: Path) -> Hosts:
    """Return the hosts of a file; UserError says what is wrong with it, and where."""
    hint = "--hosts FILE; configs/fleet/hosts.toml is an example"
    return userfile.read(Hosts, path, "is no list of hosts", hint=hint)
