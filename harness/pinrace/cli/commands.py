# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands by group, and examples of each; the module pinrace.cli.NAME has the rest."""

from __future__ import annotations

# Group -> command -> what it does.
GROUPS: dict[str, dict[str, str]] = {
    "sources": {
        "fetch": "take a kernel tree into the cache, verified",
        "series": "apply, check, edit or export a patch series",
        "build": "build kernels and guest images",
    },
    "run": {
        "test": "run the suites on every arch and ABI, and judge them",
        "boot": "boot each kernel once and say how long it took",
        "run": "run a matrix of trees, flavors and configurations; resumable",
        "nightly": "run a matrix every night and say what is new",
        "watch": "test each new series of a list or a Patchwork project, once",
        "contract": "which statements of the contract a series keeps, on every ABI",
        "mutants": "break each promise of the series, and see which test sees it",
        "price": "instructions a system call, with the series and without",
        "board": "write suites and races as a job of LAVA, for a real board",
        "exec": "run one command in a guest with the series, and exit as it did",
        "try": "run a program with the series and without, on every ABI",
        "shell": "an interactive guest with the series in this terminal",
        "ssh": "log into a guest with the series, or run a command in it",
        "gdb": "debug a guest's kernel",
        "debug": "open a debugger on the memory of a guest that died",
    },
    "races": {
        "race": "make the folder of a race of your own, check it, pack it",
        "prove": "show that a race is lost without a fix, and kept with it",
        "bisect": "find the commit, release or patch that brought a race or a failing case in",
        "torture": "race every system call that the series protects, for a given time",
        "hunt": "hold CPUs in windows of kernel functions, and see what that breaks",
        "search": "run many seeds until one fails, and make it small",
        "determinism": "check that runs repeat exactly on this host, and print their tokens",
        "repro": "replay a run from its token",
        "searchbench": "measure how soon each way to look for races finds ten windows",
        "racebench": "measure how soon each way loses the races in folders, and a naive loop",
    },
    "results": {
        "runs": "list earlier runs, or show one again",
        "compare": "hold two runs against each other, case by case",
        "suites": "what collections of tests came to on each ABI, as a table",
        "report": "write a page of HTML about a run",
        "trends": "show pass rates and numbers over the nights, as text or as a static site",
        "issues": "list the faults that were seen before, and note what is known of them",
        "submit": "hand a run's results to a service, as KCIDB 5.3",
    },
    "host": {
        "doctor": "check the host: tools, QEMU, accelerators, disk; say what is missing",
        "cache": "show what the cache holds, or prune it",
        "hosts": "list, check and clean the hosts of a fleet, or log into one",
        "help": "explain a topic: exits, glossary, guests, hosts, issues, trees, trust, verdicts",
    },
}

COMMANDS: dict[str, str] = {
    name: about for group in GROUPS.values() for name, about in group.items()
}

# Command -> (a command line, what it does).
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "fetch": (
        ("pinrace fetch debian:7.3", "Debian's newest source of 7.3, checked by apt"),
        ("pinrace fetch ~/linux", "a kernel tree of your own"),
    ),
    "series": (
        ("pinrace series apply --series fix.mbox", "see whether it applies"),
        ("pinrace series check --series fix.mbox", "checkpatch, kernel-doc and sparse"),
    ),
    "build": (("pinrace build --arch arm64 --flavor debug", "one kernel and its images"),),
    "test": (
        ("pinrace test --series fix.mbox", "your series on every arch and ABI"),
        ("pinrace test --abi i386 --suite gates -k open", "some cases of one suite on one ABI"),
    ),
    "boot": (("pinrace boot --arch arm64", "one kernel"),),
    "run": (("pinrace run configs/matrix/full.toml", "all trees and flavors of that file"),),
    "nightly": (
        ("pinrace nightly configs/nightly.toml", "what cron or a timer calls"),
        ("pinrace nightly --only-new --notify 'mail -s pinrace me'", "for a pager"),
    ),
    "watch": (("pinrace watch list.toml", "what cron or a timer calls every hour"),),
    "contract": (("pinrace contract --abi x86_64", "the statements, on one ABI"),),
    "mutants": (("pinrace mutants --abi x86_64", "every mutant, on one ABI"),),
    "price": (("pinrace price --arch x86_64", "one arch"),),
    "board": (
        ("pinrace board --arch arm64 --suite smoke --device-type rk3399", "a folder to serve"),
    ),
    "exec": (
        ("pinrace exec -- uname -a", "one command"),
        ("pinrace exec --put a.out --for 5m -- /root/a.out", "a program of yours"),
    ),
    "try": (
        ("pinrace try prog.c", "compiled for each ABI, run on both trees"),
        ("pinrace try --series none --abi i386 prog.c --args=-v", "with an argument, on one tree"),
    ),
    "shell": (("pinrace shell --arch arm64", "Ctrl-A X ends it"),),
    "ssh": (
        ("pinrace ssh -- uname -a", "one command"),
        ("pinrace ssh --put a.out:/tmp/ -- /tmp/a.out", "a static program of yours"),
    ),
    "gdb": (("pinrace gdb --run pinsmoke -- -ex 'hbreak vfs_open' -ex c", "stop in a function"),),
    "debug": (
        ("pinrace debug latest", "drgn, crash or gdb, on the dump of `pinrace test --dump`"),
        ("pinrace debug --with drgn -- script.py", "run a script of drgn's"),
    ),
    "race": (
        ("pinrace race new races/mine", "a folder with a race.toml and a race.c to fill in"),
        ("pinrace race check races/mine --kernels", "compile it, build its kernels, find windows"),
    ),
    "prove": (
        ("pinrace prove fcntl-close --fix none", "a public race, with its plant and without"),
        ("pinrace prove races/mine --abi i386", "only how it is lost, on one ABI"),
    ),
    "bisect": (
        (
            "pinrace bisect races/mine --tree ~/linux --good v7.2 --bad v7.3 --abi x86_64",
            "commits of a tree of yours",
        ),
        ("pinrace bisect --suite kselftest:timers --releases 7.1,7.2,7.3", "releases"),
    ),
    "torture": (("pinrace torture --for 10m --abi arm64", "ten minutes on one ABI"),),
    "hunt": (
        ("pinrace hunt --window fcntl_setlk --scenario answers", "one window of your own"),
        ("pinrace hunt --abi x86_64 --for 10m", "every window of the list, ten minutes each"),
    ),
    "search": (
        (
            "pinrace search --plain --abi x86_64 --boots 3",
            "the unprotected race, which must be lost",
        ),
    ),
    "determinism": (
        ("pinrace determinism --abi x86_64", "one ABI"),
        ("pinrace determinism --litmus", "which reorderings free-running guests show here"),
    ),
    "repro": (("pinrace repro TOKEN --times 20", "twenty replays, fingerprints compared"),),
    "racebench": (
        ("pinrace racebench fcntl-close --abi i386 --seeds 3 --budget 20", "one race on one ABI"),
    ),
    "searchbench": (("pinrace searchbench --seeds 3 --budget 15", "a small measurement"),),
    "runs": (
        ("pinrace runs", "a line each"),
        ("pinrace runs latest", "the latest, whole"),
        ("pinrace runs --prune --keep 30", "keep 30 that passed and 90 that did not"),
    ),
    "compare": (("pinrace compare 2026-01-05-101500 latest", "what got worse, what better"),),
    "suites": (
        ("pinrace suites", "a row for each suite and ABI, of all runs"),
        ("pinrace suites --write docs/suites.md", "the same, into that page"),
    ),
    "report": (("pinrace report latest", "write the page again"),),
    "trends": (
        ("pinrace trends --by abi", "a line an ABI, with its rate and its latest nights"),
        ("pinrace trends --site public", "a page that GitHub Pages can serve"),
    ),
    "issues": (
        ("pinrace issues", "a line each: id, first and last seen, rate, title"),
        ("pinrace issues note 3f1c --name old-stall --link https://…", "name one"),
    ),
    "submit": (
        ("pinrace submit --kcidb -o report.json", "the latest run, in a file"),
        ("pinrace submit --kcidb --pipe 'kcidb-submit -p kernelci'", "to a command of yours"),
    ),
    "doctor": (("pinrace doctor --install", "install what is missing"),),
    "cache": (("pinrace cache --prune", "drop what was not used for long"),),
    "hosts": (
        ("pinrace hosts check hosts.toml", "log into each and say what it has"),
        ("pinrace hosts clean hosts.toml", "remove all that pinrace left there"),
    ),
    "help": (("pinrace help verdicts", "one topic"),),
}
