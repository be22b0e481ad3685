# SPDX-License-Identifier: GPL-2.0-or-later
"""Releases of a kernel.org on this host: what is good comes, what is not is refused."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernelorg_site import KernelOrg, kernel_org, make_key, refs, refused
from pysequoia import Cert, SignatureMode, Tsk, sign
from trees_common import no_say
from web_site import Cut, Status

from pinrace import paths
from pinrace.cli.main import main
from pinrace.errors import Exit, InfrastructureError, NotVerifiedError, UserError
from pinrace.trees import keys, pins
from pinrace.trees.fetch import resolve

pytestmark = pytest.mark.usefixtures("own_cache")
KEYS = Path(__file__).parent / "keys"


@pytest.fixture
def org(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelOrg]:
    with kernel_org(tmp_path / "org", monkeypatch) as org:
        yield org


def test_a_good_release(org: KernelOrg, own_cache: Path) -> None:
    expected = org.release("7.1.3")
    tree = resolve("7.1.3", say=no_say)
    assert (tree.version, tree.tree_id) == ("7.1.3", expected)
    assert (tree.verified, tree.insecure) == ("signature ok: stable", False)
    assert tree.label == "linux 7.1.3"
    assert tree.origin == "kernel.org tarball"
    assert list((own_cache / "tarballs").iterdir()) == []  # the object store has it
    org.site.files.clear()
    org.site.seen.clear()
    assert resolve("v7.1.3", say=no_say).commit == tree.commit
    assert org.site.seen == []  # no network for what was verified once


def test_names_are_looked_up_each_time(org: KernelOrg) -> None:
    for version in ("7.3.4", "7.2.9", "6.12.9", "6.12.10"):
        org.release(version)
    org.release("7.3", role="mainline")
    rows = (("mainline", "7.3"), ("stable", "7.3.4"), ("stable", "7.2.9"), ("longterm", "6.12.9"))
    org.current(*rows)
    said: list[str] = []
    for spec, version in {
        "mainline": "7.3",
        "stable": "7.3.4",
        "stable:7.2": "7.2.9",
        "longterm:6.12": "6.12.9",
        "longterm": "6.12.9",
    }.items():
        tree = resolve(spec, say=said.append)
        assert (tree.version, tree.spec) == (version, f"v{version}")
    assert resolve("mainline", say=no_say).verified == "signature ok: mainline"
    assert "longterm:6.12 is 6.12.9" in said
    org.current(*rows[:3], ("longterm", "6.12.10"))
    assert resolve("longterm:6.12", say=no_say).version == "6.12.10"
    assert org.site.asked("/releases.json")[-1].get("If-None-Match")
    with pytest.raises(UserError, match=r"no longterm:5\.10") as caught:
        resolve("longterm:5.10", say=no_say)
    assert "longterm 6.12.10" in caught.value.hint
    org.site.plan("/releases.json", *[Status(503)] * 20)
    with pytest.raises(InfrastructureError, match="503"):  # an old answer is no answer
        resolve("stable", say=no_say)
    org.site.plan("/releases.json")
    org.site.files["/releases.json"] = b"<html>"
    with pytest.raises(InfrastructureError, match="not the list of releases"):
        resolve("stable", say=no_say)
    org.current(("stable", "7.3.4/../../x"))
    with pytest.raises(InfrastructureError, match="odd"):
        resolve("stable", say=no_say)


def test_a_tampered_tarball(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = org.tarball("7.1.3")
    evil = lzma.decompress(org.site.files[path]).replace(b"int line_5;", b"int evil_;")
    org.site.files[path] = lzma.compress(evil, preset=0)
    for insecure in (False, True):  # a file that differs from a good list is refused always
        with pytest.raises(InfrastructureError, match="where the signed list has"):
            resolve("7.1.3", say=no_say, insecure=insecure)
    assert refs() == ""
    # Even with a list that names it: whoever signs sums is no developer.
    org.write_sums("7.1.3")
    refused("7.1.3", "stable signed something else")


def test_a_truncated_tarball(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = org.tarball("7.1.3")
    whole = org.site.files[path]
    org.site.files[path] = whole[: len(whole) // 2]
    with pytest.raises(InfrastructureError, match="where the signed list has"):
        resolve("7.1.3", say=no_say)
    org.site.files[path] = whole
    assert resolve("7.1.3", say=no_say).verified


def test_a_tampered_list(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = f"{org.place('7.1.3')}/sha256sums.asc"
    org.site.files[path] = re.sub(rb"\b[0-9a-f]{64}\b", b"0" * 64, org.site.files[path])
    refused("7.1.3", "sums signed something else")


def test_a_line_outside_of_what_is_signed(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = f"{org.place('7.1.3')}/sha256sums.asc"
    good = org.site.files[path]
    fake = b"0" * 64 + b"  linux-7.1.3.tar.xz\n"
    for text in (fake + good, good + fake):
        org.site.files[path] = text
        assert resolve("7.1.3", say=no_say).verified


def test_no_list(org: KernelOrg) -> None:
    org.release("7.1.3")
    del org.site.files[f"{org.place('7.1.3')}/sha256sums.asc"]
    refused("7.1.3", "no checksum can be checked")


def test_a_list_that_nobody_signed(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = f"{org.place('7.1.3')}/sha256sums.asc"
    org.site.files[path] = b"0" * 64 + b"  linux-7.1.3.tar.xz\n"
    refused("7.1.3", "it is not signed")


def test_no_signature_of_a_developer(org: KernelOrg) -> None:
    org.release("7.1.3")
    del org.site.files[f"{org.place('7.1.3')}/linux-7.1.3.tar.sign"]
    refused("7.1.3", "cannot be verified")


@pytest.mark.parametrize("what", ["sums", "tar"])
def test_a_wrong_key(org: KernelOrg, what: str) -> None:
    org.release("7.1.3")
    stranger = make_key("stranger")
    if what == "sums":
        org.write_sums("7.1.3", by=stranger)
    else:  # the key that signs lists is no developer's
        stranger = org.secret["sums"]
        plain = lzma.decompress(org.site.files[org.tarball("7.1.3")])
        made = sign(stranger.signer(), plain, mode=SignatureMode.DETACHED)
        org.site.files[f"{org.place('7.1.3')}/linux-7.1.3.tar.sign"] = made
    refused("7.1.3", "where a key of")


def test_a_directory_with_another_key(org: KernelOrg) -> None:
    org.release("7.1.3")
    stranger = make_key("sums")
    org.publish_key("sums", stranger.extract_certificate())
    org.write_sums("7.1.3", by=stranger)
    fingerprint = org.secret["sums"].extract_certificate().fingerprint.upper()
    refused("7.1.3", f"has no key {fingerprint}")


def test_a_key_that_had_expired_until_its_owner_extends_it(org: KernelOrg) -> None:
    org.pin("stable", Tsk.from_file(str(KEYS / "old-secret.asc")))
    extended = org.secret["stable"].extract_certificate()
    org.publish_key("stable", Cert.from_file(str(KEYS / "old-expired.asc")))
    org.release("7.1.3")
    with pytest.raises(NotVerifiedError, match="stable expired on 2020-12-31, before it signed"):
        resolve("7.1.3", say=no_say)
    org.publish_key("stable", extended)
    assert resolve("7.1.3", say=no_say).verified


def test_a_signature_that_expired(org: KernelOrg) -> None:
    org.pin("stable", Tsk.from_file(str(KEYS / "old-secret.asc")))
    signature = (KEYS / "expired-signature.asc").read_bytes()
    with pytest.raises(NotVerifiedError, match="signature of stable expired on 2020-01-03"):
        keys.verify_bytes(b"hello", signature, "this", "stable")


def test_a_key_that_was_revoked(org: KernelOrg) -> None:
    org.release("7.1.3")
    org.release("7.1.4")
    resolve("7.1.3", say=no_say)
    secret = org.secret["stable"]
    cert = secret.extract_certificate()
    revoked = Cert.from_bytes(bytes(cert) + bytes(cert.revoke(secret.certifier())))
    org.publish_key("stable", revoked)
    (paths.cache_dir() / "keys" / f"{cert.fingerprint.upper()}.pgp").unlink()
    with pytest.raises(NotVerifiedError, match="stable is revoked"):
        resolve("7.1.4", say=no_say)
    org.publish_key("stable", cert)  # a directory that forgets a revocation changes nothing
    with pytest.raises(NotVerifiedError, match="stable is revoked"):
        resolve("7.1.4", say=no_say)


def test_a_pin_that_was_removed_counts_no_more(org: KernelOrg) -> None:
    org.release("7.1.3")
    resolve("7.1.3", say=no_say)
    org.pin("stable", make_key("stable"))
    with pytest.raises(NotVerifiedError):
        resolve("7.1.3", say=no_say)


def test_certificates_from_a_keyring(
    org: KernelOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.release("7.1.3")
    certs = [secret.extract_certificate() for secret in org.secret.values()]
    (tmp_path / "ring").mkdir()
    (tmp_path / "ring/all.pgp").write_bytes(b"".join(bytes(cert) for cert in certs))
    (tmp_path / "ring/README").write_text("no key")
    monkeypatch.setenv(pins.KEYS_VARIABLE, str(tmp_path / "ring"))
    assert resolve("7.1.3", say=no_say).verified
    assert not any(path.startswith("/wkd") for path, _ in org.site.seen)
    monkeypatch.setenv(pins.KEYS_VARIABLE, str(tmp_path / "nothing"))
    org.release("7.1.4")
    with pytest.raises(UserError, match="cannot read"):
        resolve("7.1.4", say=no_say)


def test_no_certificate_anywhere(org: KernelOrg) -> None:
    org.release("7.1.3")
    for path in [path for path in org.site.files if path.startswith("/wkd")]:
        del org.site.files[path]
    refused("7.1.3", "no certificate of sums")


def test_trouble_on_the_way(org: KernelOrg) -> None:
    expected = org.release("7.1.3")
    path, place = org.tarball("7.1.3"), org.place("7.1.3")
    org.site.plan(path, Status(503), Cut(1000), Status(502), Cut(5))
    org.site.plan(f"{place}/sha256sums.asc", Status(500))
    org.site.plan(f"{place}/linux-7.1.3.tar.sign", Status(302, (("Location", "/moved"),)))
    org.site.files["/moved"] = org.site.files[f"{place}/linux-7.1.3.tar.sign"]
    assert resolve("7.1.3", say=no_say).tree_id == expected


def test_a_resume_that_mixed_two_files_is_fetched_anew(org: KernelOrg, own_cache: Path) -> None:
    expected = org.release("7.1.3")
    path = org.tarball("7.1.3")
    (own_cache / "tarballs").mkdir(parents=True)
    part = own_cache / "tarballs/linux-7.1.3.tar.xz.part"
    part.write_bytes(b"not of this file")
    mark = {"url": org.site.url + path, "etag": org.site.validator(path)[1]}
    part.with_name(f"{part.name}.json").write_text(json.dumps(mark))
    said: list[str] = []
    assert resolve("7.1.3", say=said.append).tree_id == expected
    assert any("fetching it anew" in line for line in said), said


def test_a_release_that_is_another_one(org: KernelOrg) -> None:
    org.release("7.1.2")
    place = org.place("7.1.2")
    for end in (".xz", ".sign"):
        org.site.files[f"{place}/linux-7.1.9.tar{end}"] = org.site.files[
            f"{place}/linux-7.1.2.tar{end}"
        ]
    org.write_sums("7.1.9")
    with pytest.raises(InfrastructureError, match=r"calls itself 7\.1\.2"):
        resolve("7.1.9", say=no_say)


def test_two_runs_share_a_download(org: KernelOrg, tmp_path: Path) -> None:
    expected = org.release("7.1.3")
    code = (
        "import sys; from pathlib import Path; from pinrace import paths;"
        "paths.KERNEL_ORG_FILE = Path(sys.argv[1]);"
        "from pinrace.trees.fetch import resolve;"
        "print(resolve('7.1.3', say=lambda line: None).tree_id)"
    )
    argv = [sys.executable, "-c", code, str(org.config)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {expected}
    assert len(org.site.asked(org.tarball("7.1.3"))) == 1


def test_the_command_says_what_was_not_verified(
    org: KernelOrg, capsys: pytest.CaptureFixture[str]
) -> None:
    org.release("7.1.3")
    assert main(["fetch", "7.1.3"]) == Exit.OK
    assert "signature ok: stable" in capsys.readouterr().out
    org.release("7.1.4")
    org.write_sums("7.1.4", by=make_key("stranger"))
    assert main(["fetch", "7.1.4"]) == Exit.INFRA
    assert "--insecure" in capsys.readouterr().err
    assert main(["fetch", "--insecure", "7.1.4"]) == Exit.OK
    assert "linux 7.1.4 (NOT VERIFIED)" in capsys.readouterr().out


def test_a_mirror_by_the_environment(org: KernelOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    org.release("7.1.3")
    org.site.files = {
        path.replace("/pub/", "/mirror/", 1): body for path, body in org.site.files.items()
    }
    monkeypatch.setenv("PINRACE_KERNEL_PUB", f"{org.site.url}/mirror")
    assert resolve("7.1.3", say=no_say).verified


def test_the_projects_own_file() -> None:
    real = pins.read()
    assert real.pub == "https://cdn.kernel.org/pub"
    assert {role for key in real.keys for role in key.vouches} == {*pins.TAGS, "sums"}
    assert all("{hash}" in url for url in real.wkd)


def test_a_damaged_archive_inside_a_good_checksum(org: KernelOrg) -> None:
    org.release("7.1.3")
    path = org.tarball("7.1.3")
    org.site.files[path] = org.site.files[path][:-30]
    org.write_sums("7.1.3")
    with pytest.raises((UserError, InfrastructureError)):
        resolve("7.1.3", say=no_say)
    assert refs() == ""
