# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenPGP signatures, checked against pinned fingerprints; no keyring of the host counts.

A signature is good when its key was valid when it was made, as Sequoia's streaming verifier has it
(docs.rs/sequoia-openpgp, parse::stream): an old release stays good after its key expired, a
revoked key is good for nothing, and so is a certificate that only SHA-1 holds together.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pysequoia import Cert, Sig, verify
from pysequoia.packet import PacketPile

from pinrace import net
from pinrace.errors import InfrastructureError, NotVerifiedError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import PDEATHSIG
from pinrace.trees import pins
from pinrace.trees.pins import Role, Signer

_CLEARSIGNED = b"-----BEGIN PGP SIGNATURE-----"
_ZBASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
Store = Callable[[Sequence[str]], list[Cert]]


def verify_clear(signed: bytes, what: str, *roles: Role) -> tuple[bytes, Signer]:
    """Return the text that a clearsigned document signs, and who signed it.

    Only what is returned is covered by the signature.  Raises NotVerifiedError with `what` in it.
    """
    texts: list[bytes] = []

    def check(store: Store) -> str:
        done = verify(bytes=signed, store=store)
        texts[:] = [done.bytes or b""]
        return str(done.valid_sigs[0].certificate)

    _, mark, armor = signed.rpartition(_CLEARSIGNED)
    signer = _verified(check, mark + armor, what, roles)
    return texts[0], signer


def verify_bytes(data: bytes, signature: bytes, what: str, *roles: Role) -> Signer:
    """Return who made a detached signature of these bytes; NotVerifiedError when none counts."""

    def check(store: Store) -> str:
        done = verify(bytes=data, store=store, signature=Sig.from_bytes(signature))
        return str(done.valid_sigs[0].certificate)

    return _verified(check, signature, what, roles)


def verify_unpacked(packed: Path, signature: bytes, what: str, *roles: Role) -> Signer:
    """Return who made a detached signature of what an xz file holds; it is not kept unpacked.

    Raises NotVerifiedError when no signature counts, UserError when the file is damaged.
    """

    def check(store: Store) -> str:
        with subprocess.Popen(
            [*PDEATHSIG, "xz", "--decompress", "--stdout", "--", str(packed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as unpack:
            assert unpack.stdout is not None  # noqa: S101
            assert unpack.stderr is not None  # noqa: S101
            try:
                done = verify(
                    file=f"/dev/fd/{unpack.stdout.fileno()}",
                    store=store,
                    signature=Sig.from_bytes(signature),
                )
            finally:
                unpack.stdout.close()  # it ends by itself: nobody reads on
                said = unpack.stderr.read().decode(errors="replace").strip()
        if unpack.returncode:
            raise UserError(f"{packed.name} is damaged: {said}", hint="fetch it again")
        return str(done.valid_sigs[0].certificate)

    return _verified(check, signature, what, roles)


def _verified(
    check: Callable[[Store], str], armor: bytes, what: str, roles: tuple[Role, ...]
) -> Signer:
    """Return the signer for whom `check` passes; certificates are fetched anew before it fails.

    `check` returns the fingerprint of the certificate that signed, or raises RuntimeError.
    """
    signers = pins.read().signers(*roles)
    if not signers:
        raise NotVerifiedError(f"{what}: nobody's key is pinned for {' or '.join(roles)}")
    held: dict[Signer, Cert] = {}
    missing: list[str] = []
    for fresh in (False, True):
        missing = []
        for signer in signers:
            try:
                held[signer] = certificate(signer, fresh=fresh)
            except InfrastructureError as exc:
                missing.append(exc.what)
        try:
            found = check(lambda _ids: list(held.values())).upper()
        except (RuntimeError, ValueError, OSError):
            continue
        return next(signer for signer in signers if signer.fingerprint == found)
    raise NotVerifiedError(
        f"{what}: no signature that counts: {_why(armor, held, missing)}",
        hint="look at it by hand; --insecure takes it as it is, and every result says so",
    )


def _why(armor: bytes, held: dict[Signer, Cert], missing: list[str]) -> str:
    """Return the likely reason why no signature counted."""
    try:
        sig = Sig.from_bytes(armor)
    except (RuntimeError, ValueError, OSError):
        return "it is not signed"
    issuer = (sig.issuer_fingerprint or sig.issuer_key_id or "").upper()
    for signer, cert in held.items():
        if not any(known.endswith(issuer) for known in _fingerprints(cert)):
            continue
        name, made = signer.name, sig.created
        if cert.is_revoked:
            return f"the key of {name} is revoked"
        if sig.expiration and sig.expiration < datetime.now(UTC):
            return f"the signature of {name} expired on {sig.expiration:%Y-%m-%d}"
        try:
            ends = cert.expiration
            _ = cert.user_ids
        except RuntimeError as exc:
            return f"the certificate of {name} is not sound: {_first_cause(exc)}"
        if ends and made and made > ends:
            return f"the key of {name} expired on {ends:%Y-%m-%d}, before it signed"
        return f"{name} signed something else: it was changed, or cut short"
    if missing:
        return f"it is by {issuer}; " + "; ".join(missing)
    names = " or ".join(f"{s.name} ({s.fingerprint})" for s in held)
    return f"it is by {issuer}, where a key of {names} is wanted"


def _first_cause(exc: Exception) -> str:
    """Return the last line of Sequoia's chain of causes, without its backtrace."""
    chain = str(exc).split("Stack backtrace:", 1)[0]
    lines = [line.strip() for line in chain.splitlines() if line.strip()]
    return lines[-1].lstrip("0123456789: ") if lines else "no reason given"


def _fingerprints(cert: Cert) -> set[str]:
    """Return the fingerprints of a certificate's primary key and subkeys."""
    found = (packet.fingerprint for packet in PacketPile.from_bytes(bytes(cert)))
    return {one.upper() for one in found if one}


def certificate(signer: Signer, *, fresh: bool) -> Cert:
    """Return a signer's certificate, which has the pinned fingerprint.

    It comes from the keyring that the environment names, else from the cache, else, and always
    with `fresh`, from the Web Key Directory.  A new copy is merged into the known one, so that a
    revocation stays.  Raises NotVerifiedError when there is none.
    """
    named = os.environ.get(pins.KEYS_VARIABLE)
    if named and (cert := _from_keyring(Path(named).expanduser(), signer)):
        return cert
    place = cache_dir() / "keys" / f"{signer.fingerprint}.pgp"
    known = _matching(place.read_bytes(), signer) if place.exists() else None
    if known and not fresh:
        return known
    try:
        cert = _from_directory(signer)
    except InfrastructureError:
        if known:
            return known
        raise
    merged = known.merge(cert) if known else cert
    place.parent.mkdir(exist_ok=True)
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    draft.write_bytes(bytes(merged))
    draft.replace(place)
    return merged


def _from_keyring(path: Path, signer: Signer) -> Cert | None:
    """Return a signer's certificate from a file of certificates or a folder of such files."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as exc:
            raise UserError(
                f"cannot read {file}: {exc.strerror}", hint=f"unset {pins.KEYS_VARIABLE}"
            ) from exc
        if cert := _matching(content, signer):
            return cert
    return None


def _matching(content: bytes, signer: Signer) -> Cert | None:
    """Return the certificate with the pinned fingerprint among those in a file, None without."""
    try:
        certs = Cert.split_bytes(content)
    except (RuntimeError, ValueError):
        return None
    return next((c for c in certs if c.fingerprint.upper() == signer.fingerprint), None)


def _from_directory(signer: Signer) -> Cert:
    """Fetch a certificate from the Web Key Directory (draft-koch-openpgp-webkey-service)."""
    local = signer.mail.partition("@")[0]
    hashed = wkd_hash(local)
    tried = []
    for template in pins.read().wkd:
        url = template.format(hash=hashed, local=quote(local))
        try:
            content = net.document(url)
        except InfrastructureError as exc:
            tried.append(exc.what)
            continue
        if cert := _matching(content, signer):
            return cert
        tried.append(f"{url} has no key {signer.fingerprint}")
    raise NotVerifiedError(
        f"no certificate of {signer.name}: " + "; ".join(tried),
        hint=f"set {pins.KEYS_VARIABLE} to a file that holds it",
    )


def wkd_hash(local: str) -> str:
    """Return how the directory names a mail address's local part: zbase32 of its SHA-1."""
    number = int.from_bytes(hashlib.sha1(local.lower().encode(), usedforsecurity=False).digest())
    return "".join(_ZBASE32[(number >> shift) & 31] for shift in range(155, -1, -5))
