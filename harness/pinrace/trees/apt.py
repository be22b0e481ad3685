# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages through a private apt root: signatures checked, the host's apt untouched.

Each (suite, architecture) has an apt root of its own below the cache, so that one index in the
middle of a mirror's update never spoils another.  The mirror is the one the host already uses.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pinrace import store
from pinrace.errors import InfrastructureError, PinraceError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import Completed, run
from pinrace.trees.debs import Deb, cached_deb, last_fetched, place_of

log = logging.getLogger("pinrace.apt")

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
MIRROR_VARIABLE = "PINRACE_DEBIAN_MIRROR"  # for hosts whose own apt has no Debian
LISTS_AGE = 6 * 3600.0  # seconds until the lists are fetched anew

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """One binary stanza of apt's sources (sources.list(5))."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_list(text: str) -> list[Source]:
    """Return the `deb` lines of a one-line style file."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", " ", line.split("#", 1)[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            found.append(Source((words[1],), (words[2],), tuple(words[3:])))
    return found


def parse_sources(text: str) -> list[Source]:
    """Return the enabled binary stanzas of a deb822 style file."""
    found = []
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "off", "0")
        if enabled and "deb" in fields.get("types", "").split():
            uris, suites, components = (
                tuple(fields.get(key, "").split()) for key in ("uris", "suites", "components")
            )
            found.append(Source(uris, suites, components))
    return found


def host_sources(folder: Path = SOURCES) -> list[Source]:
    """Return what the host's apt would read, in its order."""
    found = []
    parts = folder / "sources.list.d"
    files = [
        folder / "sources.list",
        *sorted(parts.glob("*.list")),
        *sorted(parts.glob("*.sources")),
    ]
    for path in files:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        found += parse_sources(text) if path.suffix == ".sources" else parse_list(text)
    return found


def host_suite(os_release: Path = OS_RELEASE) -> str:
    """Return the host's Debian suite; UserError on a host that is not Debian."""
    facts = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    suite = facts.get("VERSION_CODENAME", "").strip('"')
    if facts.get("ID", "").strip('"') != "debian" or not suite:
        raise UserError(
            f"{os_release} does not name a Debian suite", hint="name the suite, e.g. trixie"
        )
    return suite


def mirror_for(suite: str, sources: list[Source], host: str) -> str:
    """Return the URI of the mirror that has the suite, judged by the host's own sources.

    Security suites live in an archive of their own.  Raises InfrastructureError when the host
    has no Debian source of that kind.
    """
    kind = "-security" if suite.endswith("-security") else ""
    for wanted in (suite, f"{host}{kind}"):
        for source in sources:
            if wanted in source.suites and "main" in source.components and source.uris:
                return source.uris[0]
    raise InfrastructureError(
        f"the host's apt sources have no Debian mirror for '{suite}'",
        hint=f"add a stanza for {host}{kind} to /etc/apt, or set {MIRROR_VARIABLE}=URI",
    )


class AptRoot:
    """apt for one suite and one architecture, in a folder of its own.

    Everything raises InfrastructureError when apt refuses (no network, a signature that is not
    good, a Release file that has expired), with apt's own words.  `stale` takes a Release file
    that has expired, as mirrors that stand still have; its signature is checked all the same.
    """

    kind = "deb"  # the first word of its line in sources.list(5)
    suffix = ""  # of its folder's name

    def __init__(
        self, suite: str, deb_arch: str, *, say: Say | None = None, stale: bool = False
    ) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", suite):
            raise UserError(f"'{suite}' is no name of a Debian suite", hint="e.g. trixie-backports")
        self.suite = suite
        self.deb_arch = deb_arch
        self.say = say or log.info
        self.stale = stale
        name = f"{suite}-{deb_arch}{self.suffix}{'-stale' * stale}"
        self._lock = f"apt-{name}"
        self.folder = cache_dir() / "apt" / name
        self._stamp = self.folder / "updated"
        self._fresh = False  # fetched by this object

    def versions(self, package: str, wanted: str | None = None) -> list[str]:
        """Return the package's versions in the suite, newest first; [] when it has none.

        Lists older than LISTS_AGE are fetched anew, and so are lists that lack `wanted`.
        """
        with store.locked(self._lock, say=self.say):
            self._update(force=False)
            found = self._madison(package)
            if not self._fresh and (not found or (wanted and wanted not in found)):
                self._update(force=True)
                found = self._madison(package)
        return found

    def download(self, package: str, version: str) -> Path:
        """Return the path of that package, fetched when it is not there yet; apt verifies it."""
        return self.deb(package, version).path

    def deb(self, package: str, version: str) -> Deb:
        """As download(), with all that is known about it."""
        have = cached_deb(package, self.suite, self.deb_arch, version)
        if have:
            return have
        if version not in (known := self.versions(package, version)):
            listed = ", ".join(known) or "none"
            raise UserError(
                f"{package} {version} is not in {self.suite} ({self.deb_arch})",
                hint=f"it has: {listed}",
            )
        with store.locked(self._lock, say=self.say):
            have = cached_deb(package, self.suite, self.deb_arch, version)
            return have or self._download(package, version)

    def _download(self, package: str, version: str) -> Deb:
        """Fetch it into the folder of packages; the lock is held."""
        want = self._sha256(package, version)
        place = place_of(package, self.suite, self.deb_arch, version)
        place.parent.mkdir(parents=True, exist_ok=True)
        self.say(f"downloading {package} {version} from {self.suite}")
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            draft.chmod(0o755)
            self._apt("apt-get", "download", f"{package}={version}", cwd=draft)
            files = sorted(draft.glob("*.deb"))
            if len(files) != 1 or (got := store.digest_file(files[0])) != want:
                raise InfrastructureError(
                    f"apt did not give the {package} {version} that its index promises",
                    hint="try again",
                )
            facts = Deb(package, version, self.suite, self.deb_arch, place / files[0].name, got)
            store.write_json(draft / "deb.json", {**asdict(facts), "path": files[0].name})
            draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.folder / "cache" / "archives", ignore_errors=True)
        return facts

    def closure(self, packages: Sequence[str]) -> list[tuple[str, str]]:
        """Return name and version of packages and of all that they depend on."""
        with store.locked(self._lock, say=self.say):
            self._update(force=False)
            words = ("--simulate", "--no-install-recommends", "-q")
            said = self._apt("apt-get", "install", *words, *packages).output
        found = parse_simulation(said)
        if not found:
            raise InfrastructureError(f"apt would install nothing for {' '.join(packages)}")
        return found

    def _madison(self, package: str) -> list[str]:
        """Versions in the lists as they are."""
        rows = [
            [cell.strip() for cell in line.split("|")]
            for line in self._apt("apt-cache", "madison", package).output.splitlines()
        ]
        found = [row[1] for row in rows if len(row) == 3 and row[0] == package]
        return list(dict.fromkeys(found))

    def _sha256(self, package: str, version: str) -> str:
        """The digest in the signed index."""
        shown = self._apt("apt-cache", "show", f"{package}={version}").output
        match = re.search(r"^SHA256: ([0-9a-f]{64})$", shown, re.M)
        if not match:
            raise InfrastructureError(
                f"the index of {self.suite} has no SHA256 of {package} {version}", hint="try again"
            )
        return match[1]

    def _update(self, *, force: bool) -> None:
        """Make the lists at most LISTS_AGE old, or new with force; the lock is held."""
        self._lay_out()
        line = (self.folder / "sources.list").read_text()
        try:
            same = self._stamp.read_text() == line
            age = time.time() - self._stamp.stat().st_mtime
        except FileNotFoundError:
            same, age = False, 0.0
        if same and 0 <= age < LISTS_AGE and not force:
            return
        self._stamp.unlink(missing_ok=True)
        self.say(f"updating the package lists of {self.suite} ({self.deb_arch})")
        self._apt("apt-get", "update", "-q")
        self._stamp.write_text(line)
        self._fresh = True

    def _lay_out(self) -> None:
        """Write apt's configuration and sources."""
        if not KEYRING.is_file():
            raise InfrastructureError(
                f"Debian's keyring {KEYRING} is missing", hint="apt install debian-archive-keyring"
            )
        for name in ("empty", "state", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        mirror = os.environ.get(MIRROR_VARIABLE)
        if not mirror or self.suite.endswith("-security"):
            mirror = mirror_for(self.suite, host_sources(), host_suite())
        (self.folder / "sources.list").write_text(
            f"{self.kind} [arch={self.deb_arch} signed-by={KEYRING}] {mirror} {self.suite} main\n"
        )
        (self.folder / "apt.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        """Return an apt.conf(5) under which nothing of the host's apt applies but its proxy.

        Error-Mode "any": without it a bad signature is only a warning when older lists exist.
        Dir::Etc::parts and main: else the host's own settings apply, which may switch checks off.
        """
        at, none = self.folder, self.folder / "empty"
        settings = {
            "APT::Architecture": self.deb_arch,
            "APT::Update::Error-Mode": "any",
            "Acquire::Check-Valid-Until": "false" if self.stale else "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
            "Dir::State": at / "state",
            "Dir::State::lists": at / "lists",
            "Dir::State::status": at / "status",
            "Dir::Cache": at / "cache",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": none,
            "Dir::Etc::sourcelist": at / "sources.list",
            "Dir::Etc::sourceparts": none,
            "Dir::Etc::trusted": "/dev/null",
            "Dir::Etc::trustedparts": none,
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": none,
        }
        for key in ("Acquire::http::Proxy", "Acquire::https::Proxy"):
            if proxy := _host_setting(key):
                settings[key] = proxy
        # The download may run where apt's own user cannot go, such as a home folder.
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"
        lines = [f'{key} "{value}";' for key, value in settings.items()]
        return "\n".join([*lines, f'APT::Architectures {{ "{self.deb_arch}"; }};', ""])

    def _apt(self, *argv: str, cwd: Path | None = None) -> Completed:
        """Run one of apt's programs in this root."""
        done = run(
            argv,
            cwd=cwd,
            env={"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
            check=False,
        )
        if done.status:
            said = [line for line in done.output.splitlines() if line.startswith(("E:", "W:"))]
            raise InfrastructureError(
                f"{' '.join(argv[:2])} for {self.suite} ({self.deb_arch}) failed:\n"
                + "\n".join(f"  {line}" for line in said or done.output.splitlines()[-8:]),
                hint="look at the mirror in /etc/apt/sources.list*, then try again",
            )
        return done


def parse_simulation(text: str) -> list[tuple[str, str]]:
    """Return the packages, with versions, that `apt-get install --simulate` would install."""
    found = re.findall(r"^Inst (\S+?)(?::\S+)? \((\S+) ", text, re.MULTILINE)
    return [(name, version) for name, version in found]


def fetch_deb(
    package: str,
    suite: str | None,
    deb_arch: str,
    version: str | None = None,
    *,
    say: Say | None = None,
) -> Deb:
    """Return a package of a suite (None: the host's own), newest unless a version is named.

    A named version that was fetched before needs no network.  Without a name, and with an archive
    that cannot be asked, the newest one fetched before is taken, and that is said.  Raises
    UserError when the suite does not have it, InfrastructureError when apt refuses.
    """
    suite = suite or host_suite()
    root = AptRoot(suite, deb_arch, say=say)
    if version:
        return root.deb(package, version)
    try:
        known = root.versions(package)
    except InfrastructureError as exc:
        have = last_fetched(package, suite, deb_arch)
        if not have:
            raise
        root.say(f"taking {package} {have.version} from the cache: {exc.what.splitlines()[0]}")
        return have
    if not known:
        raise UserError(
            f"{suite} ({deb_arch}) has no package '{package}'", hint=f"apt-cache policy {package}"
        )
    return root.deb(package, known[0])


def _host_setting(key: str) -> str:
    """Return one of the host's own apt settings, '' when it is not set."""
    try:
        shown = run(["apt-config", "shell", "VALUE", key], what="apt-config").output
    except PinraceError:
        return ""
    match = re.search(r"^VALUE='(.*)'$", shown, re.M)
    return match[1] if match else ""
