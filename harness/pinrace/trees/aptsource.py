# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian source packages through a private apt root: the same signatures, another index."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pinrace import store
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import run
from pinrace.trees.apt import AptRoot, Say, host_suite

# Any that the archive has: the index of sources is one for all.
_INDEX_ARCH = "amd64"
_NOTE = "source.json"
_SERIES = "debian/patches/series"


@dataclass(frozen=True)
class SourcePackage:
    """A source package on disk that apt has verified."""

    package: str
    version: str
    suite: str
    folder: Path  # holds the files
    files: tuple[tuple[str, str], ...]  # name and sha256, as the signed index has them

    @property
    def digest(self) -> str:
        """The same for the same files."""
        return store.digest(*(word for pair in self.files for word in pair))


class SourceRoot(AptRoot):
    """apt for the source packages of one suite."""

    kind = "deb-src"
    suffix = "-source"

    def __init__(self, suite: str, *, say: Say | None = None) -> None:
        super().__init__(suite, _INDEX_ARCH, say=say)

    def source(self, package: str, version: str) -> SourcePackage:
        """Return that package, fetched when it is not there yet; apt verifies every file.

        Raises UserError when the suite does not have it.
        """
        place = (
            cache_dir() / "debs" / self.suite / f"{package}_{version}_source".replace(":", "%3a")
        )
        if have := _read(place):
            return have
        if version not in (known := self.versions(package, version)):
            raise UserError(
                f"{self.suite} has no source package {package} {version}",
                hint=f"it has: {', '.join(known) or 'none'}",
            )
        with store.locked(self._lock, say=self.say):
            return _read(place) or self._fetch(package, version, place)

    def _fetch(self, package: str, version: str, place: Path) -> SourcePackage:
        """Fetch it into the folder of packages; the lock is held."""
        shown = self._apt("apt-cache", "showsrc", "--only-source", package).output
        files = listed_files(shown, version)
        place.parent.mkdir(parents=True, exist_ok=True)
        self.say(f"downloading the source of {package} {version} from {self.suite}")
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            draft.chmod(0o755)
            self._apt("apt-get", "source", "--download-only", f"{package}={version}", cwd=draft)
            for name, sha256 in files:
                if not (draft / name).is_file() or store.digest_file(draft / name) != sha256:
                    raise InfrastructureError(
                        f"apt did not give the {name} that its index promises", hint="try again"
                    )
            facts = {"package": package, "version": version, "suite": self.suite, "files": files}
            store.write_json(draft / _NOTE, facts)
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return SourcePackage(package, version, self.suite, place, files)


def listed_files(showsrc: str, version: str) -> tuple[tuple[str, str], ...]:
    """Return names and sha256 of a version's files from what `apt-cache showsrc` prints.

    Raises InfrastructureError when it lists none.
    """
    for stanza in re.split(r"\n\s*\n", showsrc):
        if not re.search(rf"^Version: {re.escape(version)}$", stanza, re.M):
            continue
        if match := re.search(r"^Checksums-Sha256:\n((?: .*\n?)+)", stanza, re.M):
            rows = (line.split() for line in match[1].splitlines())
            return tuple((row[2], row[0]) for row in rows)
    raise InfrastructureError(f"the index of sources has no checksums of {version}")


def fetch_source(
    package: str, suite: str | None, version: str | None = None, *, say: Say | None = None
) -> SourcePackage:
    """Return a source package of a suite (None: the host's own), newest unless a version is named.

    A named version that was fetched before needs no network.  Raises UserError when the suite
    does not have it, InfrastructureError when apt refuses.
    """
    root = SourceRoot(suite or host_suite(), say=say)
    if version is None:
        known = root.versions(package)
        if not known:
            raise UserError(f"{root.suite} has no source package '{package}'")
        version = known[0]
    return root.source(package, version)


def unpack_source(source: SourcePackage, into: Path) -> None:
    """Unpack a package of format 3.0 (quilt) and apply Debian's patches.

    The files are what apt has verified.  Raises InfrastructureError for another format, and for a
    patch that does not apply.
    """
    names = [name for name, _ in source.files]
    origs = [name for name in names if re.search(r"\.orig\.tar\.\w+$", name)]
    debian = [name for name in names if re.search(r"\.debian\.tar\.\w+$", name)]
    if len(origs) != 1 or len(debian) != 1:
        raise InfrastructureError(
            f"{source.package} {source.version} is not of format 3.0 (quilt)", log=source.folder
        )
    with tempfile.TemporaryDirectory(dir=into) as place:
        _untar(source.folder / origs[0], Path(place))
        top = list(Path(place).iterdir())
        if len(top) != 1:
            raise InfrastructureError(f"{origs[0]} holds more than one folder", log=source.folder)
        for path in top[0].iterdir():
            path.rename(into / path.name)
    # A debian/ of upstream's is no part of the package (dpkg-source(1)).
    shutil.rmtree(into / "debian", ignore_errors=True)
    _untar(source.folder / debian[0], into)
    series = into / _SERIES
    lines = series.read_text().splitlines() if series.is_file() else []
    for name in (line.split()[0] for line in lines if line.strip() and line[0] != "#"):
        run(
            ["git", "apply", "--whitespace=nowarn", f"debian/patches/{name}"],
            cwd=into,
            what=f"applying {name} to {source.package}",
        )


def _untar(path: Path, into: Path) -> None:
    with tarfile.open(path) as archive:
        # Python 3.11.2 has no filters; without one a member may lie outside of the folder, which
        # the signature on these archives rules out well enough.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(into)  # noqa: S202


def _read(place: Path) -> SourcePackage | None:
    """Return what a folder of a source package holds."""
    try:
        facts = json.loads((place / _NOTE).read_text())
        files = tuple((name, sha256) for name, sha256 in facts.pop("files"))
        return SourcePackage(**facts, folder=place, files=files)
    except (OSError, ValueError, TypeError, KeyError):
        return None
