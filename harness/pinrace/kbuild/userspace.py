# SPDX-License-Identifier: GPL-2.0-or-later
"""Build what runs in guests: a tree's headers, our own programs, the tree's selftests.

Everything is static and checked to be of the ABI that it was built for.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from pinrace import procs, store
from pinrace.arches import Abi, get_arch
from pinrace.errors import BuildError, InfrastructureError, UserError
from pinrace.host import sandbox
from pinrace.kbuild import sources
from pinrace.kbuild.elf import check_program, is_elf
from pinrace.kbuild.sysroot import sysroot
from pinrace.kbuild.toolchain import build_env, ccache_binds
from pinrace.paths import cache_dir
from pinrace.series.manifest import Program

# Gives a tree's files while the context lasts, perhaps after a wait.  It is entered with the lock
# held of what is made of them: who is in such a context may not ask for another such thing.
Source = Callable[[], AbstractContextManager[Path]]

SELFTESTS = "tools/testing/selftests"
WARNINGS = "warnings.txt"  # beside the selftests: what the compiler warned about

# -D_FILE_OFFSET_BITS: /proc/PID/mem beyond 2 GiB with 32 bits.  No build id and no debug
# information: the same bytes wherever the sources lie.
CFLAGS = (
    *("-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"),
    *("-O2", "-g0", "-static", "-pthread", "-s", "-Wl,--build-id=none"),
    *("-Wall", "-Wextra", "-Werror"),
)


def compiler_identity(abi: Abi) -> str:
    """Return what tells one compiler of the ABI from another.

    Raises InfrastructureError when it is not installed.
    """
    compiler = f"{abi.cross}gcc"
    if not shutil.which(compiler):
        raise InfrastructureError(
            f"{compiler} is not installed",
            hint=f"apt-get install {' '.join(abi.packages)}, or pinrace doctor",
        )
    version = procs.run([compiler, "--version"], what=compiler).output.splitlines()[0]
    machine = procs.run([compiler, "-dumpmachine"], what=compiler).output.strip()
    return f"{version} for {machine}"


def headers(source: Source, tree_id: str, headers_arch: str) -> Path:
    """Return the folder of a tree's user-space headers (what -isystem takes).

    source gives where the tree is checked out, and is asked only when the headers are not there;
    nothing is written to it.  Raises BuildError when the tree does not give any.
    """
    key = store.digest(tree_id, headers_arch)

    def fill(draft: Path) -> None:
        log = log_path(f"headers-{key}")
        build = draft / "build"
        build.mkdir()
        with source() as tree:
            _make(
                ["-C", tree, f"ARCH={headers_arch}", f"O={build}", "-j2", "headers"],
                (*sandbox.reads(tree), *sandbox.writes(build)),
                log,
                f"the headers for {headers_arch} do not build",
            )
        (build / "usr/include").rename(draft / "include")
        shutil.rmtree(build)

    return store.make("headers", key, fill) / "include"


def build_programs(abi: Abi, include: Path) -> Path:
    """Return the folder of our programs, built for an ABI against these kernel headers.

    Native-only ones lie in the folder itself (and are there for the arch's first ABI only), the
    others in bin/.  Raises InfrastructureError when one does not compile, or is of another ABI.
    """
    native = abi == get_arch(abi.arch).abis[0]
    wanted = [p for p in sources.programs() if native or not p.native]
    key = store.digest(
        abi.name,
        compiler_identity(abi),
        repr([(p.name, p.sources, p.libs) for p in wanted]),
        " ".join(CFLAGS),
        digest_folder(include),
        sources.digest(),
    )

    def fill(draft: Path) -> None:
        (draft / "bin").mkdir()
        _build(wanted, abi, include, draft)

    return store.make("programs", key, fill)


def debug_program(name: str, abi: Abi, include: Path) -> Path:
    """Return one of our programs with its symbols and lines: the same code as in the image.

    Raises UserError for a program that there is not, and as build_programs() does.
    """
    found = next((p for p in sources.programs() if p.name == name), None)
    if found is None:
        raise UserError(f"the guest has no program '{name}'")
    key = store.digest(
        "debug-1",
        name,
        abi.name,
        compiler_identity(abi),
        digest_folder(include),
        sources.digest(),
    )

    def fill(draft: Path) -> None:
        (draft / "bin").mkdir()
        _build([found], abi, include, draft, debug=True)
        (draft / found.place).rename(draft / name)

    return store.make("debug-programs", key, fill) / name


def _build(
    wanted: Sequence[Program], abi: Abi, include: Path, draft: Path, *, debug: bool = False
) -> None:
    """Compile each source once, link the programs, and look at what came out.

    debug: leave the symbols in them.
    """
    objects = draft / "objects"
    objects.mkdir()
    flags = [flag for flag in CFLAGS if not debug or flag not in ("-s", "-g0")]
    flags += ["-g"] if debug else []
    cc = [*(("ccache",) if shutil.which("ccache") else ()), f"{abi.cross}gcc", *flags]
    place = sources.folder()
    # The headers are the tree's.
    binds = (*sandbox.reads(place, include), *sandbox.writes(draft), *ccache_binds())

    def made_of(source: str) -> Path:
        return objects / f"{source.replace('/', '-')}.o"

    def gcc(name: str, *words: str | Path) -> None:
        log = log_path(f"{name.replace('/', '-')}-{abi.name}")
        log.unlink(missing_ok=True)
        done = sandbox.run(
            [*cc, *words],
            binds=binds,
            cwd=place,
            env=build_env(),
            log_to=log,
            check=False,
            what=f"{abi.cross}gcc",
        )
        if done.status:
            errors = (line for line in done.output.splitlines() if "error:" in line)
            raise InfrastructureError(
                f"{name} does not compile for {abi.name}: {next(errors, 'see the log')}",
                log=log,
                hint=f"correct it in {' or '.join(map(str, sources.roots()))}",
            )

    def compile_one(source: str) -> None:
        search = ("-isystem", include, "-I", "lib", "-I", "lib/race")
        gcc(source, *search, "-c", source, "-o", made_of(source))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sorted({one for each in wanted for one in each.sources})))
    for program in wanted:
        out = draft / program.place
        libs = (f"-l{lib}" for lib in program.libs)
        gcc(program.name, *map(made_of, program.sources), "-o", out, *libs)
        check_program(out, abi)
    shutil.rmtree(objects)


def build_selftests(source: Source, tree_id: str, abi: Abi, collection: str) -> Path:
    """Return a folder with a collection of a tree's selftests for an ABI, in its bin/.

    source is as in headers().  Beside bin/ lies what the compiler warned about.  Raises BuildError
    when they do not compile.
    """
    include = headers(source, tree_id, abi.headers_arch)
    root = sysroot(abi)
    key = store.digest(collection, tree_id, abi.name, compiler_identity(abi), root.name)

    def fill(draft: Path) -> None:
        build = draft / "build"
        build.mkdir()
        log = log_path(f"selftests-{key}")
        libraries = root / "usr/lib" / abi.triple
        with source() as tree:
            output = _make(
                [
                    *("-C", tree / SELFTESTS / collection),
                    f"ARCH={abi.headers_arch}",
                    f"CROSS_COMPILE={abi.cross}",
                    f"OUTPUT={build}",
                    f"KHDR_INCLUDES=-isystem {include}",
                    f"USERCFLAGS=-idirafter {root / 'usr/include'} -L{libraries}",
                    "USERLDFLAGS=-static",
                ],
                (*sandbox.reads(tree, include, root), *sandbox.writes(build)),
                log,
                f"the {collection} selftests do not build for {abi.name}",
            )
        warnings = [line for line in output.splitlines() if "warning:" in line]
        (draft / WARNINGS).write_text("".join(f"{line}\n" for line in warnings))
        _keep_programs(build, draft / "bin", abi, log, collection)
        shutil.rmtree(build)

    return store.make("selftests", key, fill)


def _keep_programs(build: Path, into: Path, abi: Abi, log: Path, collection: str) -> None:
    """Move the executables there, each checked."""
    into.mkdir()
    for path in sorted(build.iterdir()):
        if (
            path.is_file()
            and not path.is_symlink()
            and path.stat().st_mode & 0o100
            and is_elf(path)
        ):
            check_program(path, abi)
            path.rename(into / path.name)
    if not any(into.iterdir()):
        raise BuildError(f"the {collection} selftests for {abi.name} gave no program", log=log)


def _make(words: list[str | Path], binds: Iterable[sandbox.Bind], log: Path, what: str) -> str:
    """Run make and return what it printed; BuildError when it fails."""
    log.unlink(missing_ok=True)
    done = sandbox.run(["make", *words], binds=binds, log_to=log, check=False, what="make")
    if done.status:
        raise BuildError(what, log=log, hint="the log's last lines say what is wrong")
    return done.output


def log_path(name: str) -> Path:
    """Return where a build's log goes; it stays when the build fails."""
    folder = cache_dir() / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def digest_folder(folder: Path, pattern: str = "*") -> str:
    """Return a digest of a folder's files, names included."""
    files = sorted(p for p in folder.rglob(pattern) if p.is_file())
    names = [f"{p.relative_to(folder)} {store.digest_file(p)}" for p in files]
    return store.digest(*names)
