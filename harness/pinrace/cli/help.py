# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace help`: the topics that no option explains."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.errors import Exit, UserError

MAN = "man"
TOPICS = {
    "glossary": """\
again         the command that runs one cell again
ABI           what a program in the guest is compiled for: x86_64, i386, arm64, arm
baseline      the same cell on the unpatched tree
bound         how often a race can at most be lost and still not have been seen, at 95 %
case          one test of a suite
cell          one suite on one arch, ABI and flavor
control       a trial without the protection; it must lose, or the race was not exposed
exposed       a trial in which both sides ran at the same moment
fingerprint   what two reports of the same bug have in common: their kind and functions
flavor        a kernel configuration: plain, kcsan (data races), debug (KASAN, lockdep and more)
gate          a guest program that stops the kernel inside its own read of an argument
hold          one CPU stopped at an instruction while another one runs
image         the root file system of a guest
journal       what a run wrote down as it happened
leg           one run of a matrix
mutant        the series with one promise broken on purpose
report, splat what a kernel prints about a fault of its own
seed          the number from which every random choice of a run is drawn
series        patches, in order
suite         a program, or several, whose cases are judged together
token         a line that names all that a run was made of, so that it can be replayed
trial         one race: prepare, both sides, check
window        the instructions of a function between which the other side is let in""",
    "hosts": """\
--hosts FILE           start workers on the hosts of FILE over SSH, run there, stop them again
--scheduler ADDRESS    join a running dask cluster, with its certificates in --tls FOLDER
--on native|emulated   cells for hosts with KVM for the arch, or without; both: a column each
pinrace hosts check    what each host has; configs/fleet/hosts.toml is an example
needs                  pip install 'pinrace[fleet]'; docs/fleet.md says the rest""",
    "guests": """\
pinrace shell          a guest's console in this terminal; the kernel's messages run through it
pinrace ssh            a guest on the network, by keys of this one run; its console is a file
pinrace ssh -- CMD     runs CMD there and exits as it did: one word is a line for the guest's
                       shell, several are a program and its arguments.  255: a signal ended it;
                       as `pinrace help exits` says when the guest itself did not end well
pinrace ssh --put a.out:/tmp/ --get /tmp/log:. -- /tmp/a.out
                       copies files in before, and out after
More sessions at once: the line `ssh -F FILE guest` that it prints, in another terminal.
The guest reaches neither the host nor the world, and nothing but the port of 127.0.0.1 reaches it.
pinrace gdb            its kernel in gdb, once it has booted; -S before its first instruction
pinrace gdb --run pinsmoke -- -ex 'hbreak NAME' -ex c
                       stops where the program gets the kernel to
The tree's own lx- commands need --config DEBUG_INFO_REDUCED=n, which is another kernel.""",
    "exits": """\
0    every cell passed (or was skipped with a reason)
1    the kernel under test failed: a new failure, a splat, a panic, a hang
2    usage: you asked for something that is not there or contradicts itself
3    build: the series does not apply, the configuration is refused, make fails
4    no word on the kernel: a tool, the host, QEMU or pinrace itself could not do its part (MISS),
     or a cell that ran leaves it open (INCONCLUSIVE)
130  interrupted; what was finished is kept""",
    "issues": """\
pinrace issues            faults that the runs saw, a line each: reports of kernels by fingerprint,
                          and bad cases; with first and last seen, and in how many cells of how many
pinrace issues show ID    all that is known of one: trees, series, ABIs, runs
pinrace issues note ID --name NAME --note TEXT --link URL
                          keeps it in configs/issues.toml, or in the file that PINRACE_ISSUES names
A cell that shows a known fault says so beside its verdict, on the page of its run and in KCIDB.
The verdict stays: what is known is not excused.""",
    "trust": """\
what          runs where, and what contains it
trees, series make and the tree's scripts run on this host, in a sandbox where the host has one:
              no network, an empty home, no token, and only their own object folder to write to.
              The first lines of a run say which; `pinrace doctor` says why it is not the best
--no-sandbox  they run as you, with an environment of their own: for code that you trust
strangers     a series that this project does not ship has an object folder of its own, and adds
              nothing to ccache; so it decides about no other build
checkers      checkpatch and kernel-doc are the base tree's.  A series that changes tests which
              judge it is marked in its cell: read what it changes
kernels       run in QEMU, which promises no security without KVM; no network but for `ssh`, where
              one port of 127.0.0.1 leads in
text          of guests, mails and trees is made visible: it drives no terminal, CI system or page.
              In `shell`, `ssh` and `gdb` it is raw
results       any program of a guest can write to the console and to the result channel: a PASS is
              the word of a guest whose kernel and programs are the series'
gdb           runs a tree's own scripts on this host: only verified trees, and series shipped here
tokens        name what to build: read one before you replay it
left          time, memory and disk of a build, faults of QEMU and of the host's kernel.  For series
              of strangers: a user of its own, or a machine of its own.
The whole table is in docs/trust.md.""",
    "verdicts": """\
PASS          a case is good, every planned one was seen, the exit status is explained, every
              detector was on, and nothing is worse than on the unpatched tree
FAIL          the kernel did wrong: a new failing case, a report, a panic, a hang, an exit status
              that no case explains
INCONCLUSIVE  it ran, and nothing can be said: a deaf detector, cases that are gone or skipped,
              results that may be missing, or nothing known of the unpatched tree
MISS          it could not be run, or its results are damaged, or the host was too busy
SKIP          it does not apply to this tree, arch or ABI; every case was skipped
The same cells run on the unpatched tree; what fails there too, again and again, is `known`, not
`new`.  It is kept for --baseline-days.  A cell `coverage` names what no suite that ran looks at.
docs/verdicts.md says what each rests on, and what it cannot see.""",
    "trees": """\
debian:7.3    Debian's linux-source-7.3; also 7.2, 6.12, 6.1.  apt checks the signatures; the
              exact version is pinned in configs/trees.lock.toml; debian:7.3@newest is what the
              archive has now, debian:7.3/experimental what that suite has
mainline, stable, stable:7.2, longterm:6.12, next
              what kernel.org calls so now: looked up each time and never pinned, every result has
              the exact version
7.1.3, v7.3, 7.4-rc2, next-20261120
              one release of kernel.org (7.3 without the v is Debian's).  A tarball must be in the
              signed list of checksums, and signed by a developer; a candidate, a next and what the
              server no longer has come from git by their signed tag
https://host/linux.git#v7.3
              a git repository (https, git, ssh, file) and a tag that a pinned key signed, or a
              whole commit id
/a/folder     a kernel tree of yours; a git checkout with changes is used as it is, called dirty
/a/file.tar.xz  a tarball; it is not verified, and results say so
Whose signature counts for what is in configs/kernel-org.toml, by fingerprint; so are the servers.
PINRACE_KERNEL_PUB, _RELEASES and _GIT name mirrors.  The certificates come from kernel.org's Web
Key Directory, or from a file or folder that PINRACE_KERNEL_KEYS names.
What came over a network and is not verified is refused; --insecure takes it, called NOT VERIFIED.
A tree's identity is git's id of its content.""",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "topic", nargs="?", choices=[*sorted(TOPICS), MAN], help="what to explain, or man"
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="of man: where to write the pages"
    )


def run(args: argparse.Namespace) -> int:
    """Print one topic, or all; `man` writes the manual pages."""
    if args.topic == MAN:
        if args.folder is None:
            raise UserError("where shall the pages go?", hint="pinrace help man FOLDER")
        from pinrace.cli import main, manual

        pages = manual.write(main.parser(listed=True), TOPICS, args.folder)
        ui.say(f"{ui.counted(len(pages), 'page')} in {args.folder}: man -l {pages[0]}")
        return Exit.OK
    if args.folder is not None:
        raise UserError("only man takes a folder", hint="pinrace help man FOLDER")
    for topic in [args.topic] if args.topic else sorted(TOPICS):
        ui.say(f"{topic}\n{TOPICS[topic]}\n")
    return Exit.OK
