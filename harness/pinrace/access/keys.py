# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of one run: the guest's, and the one that opens it.  Both are made here and die with it."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KIND = b"ssh-ed25519"


@dataclass(frozen=True)
class Keys:
    """Both pairs, and how each side wants to read them."""

    host: Ed25519PrivateKey
    user: Ed25519PrivateKey

    @property
    def dropbear_host_key(self) -> bytes:
        """The guest's key as dropbear reads it: the kind, then private and public half in one.

        Both are strings of RFC 4251, section 5.
        """
        raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
        private = self.host.private_bytes(*raw, serialization.NoEncryption())
        public = self.host.public_key().public_bytes(raw[0], serialization.PublicFormat.Raw)
        return _string(_KIND) + _string(private + public)

    @property
    def authorized_keys(self) -> bytes:
        """The line that lets the user in."""
        return _public_line(self.user)

    def user_key(self) -> paramiko.Ed25519Key:
        """Return what a client logs in with."""
        return _paramiko(self.user)

    def host_key(self) -> paramiko.Ed25519Key:
        """Return what a client has to find."""
        return _paramiko(self.host)

    def write_config(self, folder: Path, port: int) -> Path:
        """Write what OpenSSH's programs need to get in: `ssh -F FILE guest`; return that file.

        The folder is to be nobody else's.
        """
        key, known, config = (folder / name for name in ("id_ed25519", "known_hosts", "config"))
        key.touch(mode=0o600)
        key.write_bytes(_private(self.user))
        known.write_bytes(b"guest " + _public_line(self.host))
        config.write_text(
            f"Host guest\n  HostName 127.0.0.1\n  Port {port}\n  User root\n"
            f'  IdentityFile "{key}"\n  IdentitiesOnly yes\n  IdentityAgent none\n'
            f'  UserKnownHostsFile "{known}"\n  GlobalKnownHostsFile {os.devnull}\n'
            "  HostKeyAlias guest\n  StrictHostKeyChecking yes\n"
        )
        return config


def make_keys() -> Keys:
    """Return new ones."""
    return Keys(Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )


def _public_line(key: Ed25519PrivateKey) -> bytes:
    kind = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(*kind) + b"\n"


def _paramiko(key: Ed25519PrivateKey) -> paramiko.Ed25519Key:
    return paramiko.Ed25519Key(file_obj=io.StringIO(_private(key).decode()))
