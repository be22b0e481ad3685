# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates of one cluster: an authority made for it, and one for each member.

Whoever has a certificate of a cluster may run code on all its machines; dask has no finer right.
The authority's key is in memory alone and dies with the command.
"""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from distributed.security import Security

from pinrace.errors import UserError

CA, CERT, KEY = "ca.pem", "cert.pem", "key.pem"
DAYS = 30  # before and after now: a host's clock may be wrong by less, see hosts.py


@dataclass(frozen=True)
class Member:
    """What one member of a cluster has."""

    ca: bytes
    cert: bytes
    key: bytes

    def write(self, folder: Path) -> Path:
        """Write the three files for this user alone; return the folder."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in self.files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(data)
        return folder

    @property
    def files(self) -> dict[str, bytes]:
        """Return the files by name."""
        return {CA: self.ca, CERT: self.cert, KEY: self.key}


class Authority:
    """Makes the certificates of a cluster."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"pinrace {name}")])
        self._cert = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def member(self, name: str) -> Member:
        """Return a new key with its certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        cert = (
            self._builder(subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Member(self._cert.public_bytes(pem), cert.public_bytes(pem), private)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        span = datetime.timedelta(days=DAYS)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - span)
            .not_valid_after(now + span)
        )


def security(folder: Path) -> Security:
    """Return dask's settings for the certificates in a folder: both sides must have one.

    Raises UserError when they are not there, or cannot be used.
    """
    paths = {name: folder / name for name in (CA, CERT, KEY)}
    try:
        context = ssl.create_default_context(cafile=str(paths[CA]))
        context.load_cert_chain(paths[CERT], paths[KEY])
    except (OSError, ssl.SSLError) as error:
        hint = f"the folder holds {CA}, {CERT} and {KEY}"
        raise UserError(f"no certificates in {folder}: {error}", hint=hint) from error
    mine = {"cert": str(paths[CERT]), "key": str(paths[KEY])}
    return Security(
        require_encryption=True,
        tls_ca_file=str(paths[CA]),
        tls_client_cert=mine["cert"],
        tls_client_key=mine["key"],
        tls_scheduler_cert=mine["cert"],
        tls_scheduler_key=mine["key"],
        tls_worker_cert=mine["cert"],
        tls_worker_key=mine["key"],
    )
