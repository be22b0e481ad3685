# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace series check`: what the tree's own tools say of what a series adds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from pinrace import ui
from pinrace.cli import options
from pinrace.errors import BuildError, Exit, UserError
from pinrace.kbuild import checks, kernel, warnings
from pinrace.kbuild.checks import Remark
from pinrace.kbuild.kernel import Plan
from pinrace.series.apply import apply
from pinrace.series.files import first, touched
from pinrace.trees.git import read_object, repository
from pinrace.trees.worktree import worktree
from pinrace.values import PatchedTree, Request, Series, Tree

_NOT_BUILT = ("Documentation/", "samples/", "tools/", "MAINTAINERS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this action."""
    options.tree_options(parser)
    options.kernel_options(parser)
    about = "only build the tree with the first patch, the first two, …: none may warn"
    parser.add_argument("--bisectable", action="store_true", help=about)


def run(args: argparse.Namespace) -> int:
    """Print each remark; those about the kernel's own code fail."""
    asked = options.request(args)
    tree, wanted = options.request_tree(args)
    if wanted is None:
        raise UserError("there is no series to check", hint="--series FOLDER")
    if asked.kernel:
        raise UserError("the kernel has to be built of the series", hint="leave out --kernel")
    if args.bisectable:
        return bisectable(tree, wanted, asked)
    patched = apply(tree, wanted, say=ui.say)
    plans = _plans(patched, asked)
    for plan in plans:
        ui.say(f"building {plan.label}, as sparse needs what make generates")
        kernel.build(plan)
    lines = checks.added_lines(patched)
    found: list[Remark] = []
    with worktree(tree, say=ui.say) as place:
        # The checkers are the base tree's: a series is not judged by scripts that it brings.
        place.checkout(tree.commit)
        found += checks.checkpatch(wanted.patches, place.path)
        found += checks.kernel_doc(
            lines,
            place.path,
            lambda file: read_object(repository(), "blob", f"{patched.commit}:{file}"),
        )
        checker = checks.find_sparse(place.path)
        place.checkout(patched.commit)
        sparse = []
        for plan in plans:
            said, count = checks.sparse(plan, place, lines, checker)
            found += said
            sparse.append(f"{count} objects of {plan.label}")
    return report(found, sparse)


def report(found: Sequence[Remark], sparse: Sequence[str]) -> int:
    """Say what was found, the kernel's own code last; sparse: what it looked at."""
    unique = dict.fromkeys(found)
    for remark in sorted(unique, key=lambda one: one.counts):
        mark = "" if remark.counts else " (selftest: not counted)"
        ui.say(f"{remark.tool}: {remark.place}: {remark.text}{mark}")
    bad = sum(remark.counts for remark in unique)
    ui.say(f"{bad or 'no'} remarks on the kernel's code; sparse on {', '.join(sparse)}")
    return Exit.KERNEL if bad else Exit.OK


def bisectable(tree: Tree, series: Series, asked: Request) -> int:
    """Build the tree with each number of the series' patches; say what is wrong with which."""
    known: list[str] = []
    for plan in _plans(apply(tree, None, say=ui.say), asked):
        known += _warnings(plan)
    bad = 0
    for count, patch in enumerate(series.patches, 1):
        part = first(series, count)
        if all(file.startswith(_NOT_BUILT) for file in touched(replace(part, patches=(patch,)))):
            ui.say(f"{patch.name}: nothing of it is built into a kernel")
            continue
        for plan in _plans(apply(tree, part, say=ui.say), asked):
            try:
                new = warnings.added(_warnings(plan), known)
            except BuildError as error:
                new = (str(error),)
            known += new
            bad += bool(new)
            ui.say(f"{patch.name}: {plan.arch.name} {'; '.join(new) or 'builds'}")
    ui.say(f"{bad or 'no'} builds fail or warn, of {series.count} one after the other")
    return Exit.KERNEL if bad else Exit.OK


def _plans(patched: PatchedTree, asked: Request) -> list[Plan]:
    """Return a kernel of each arch and flavor."""
    return [
        kernel.plan(patched, arch, kernel.BuildOptions(flavor, asked.extra, asked.llvm, asked.jobs))
        for arch in asked.arches
        for flavor in asked.flavors
    ]


def _warnings(plan: Plan) -> tuple[str, ...]:
    """Build it, and return what the compiler warned about."""
    return tuple(kernel.metadata(kernel.build(plan))["warnings"])
