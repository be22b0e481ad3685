# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace series check`: what the tree's own tools say of what a series adds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pinrace import ui
from pinrace.cli import options
from pinrace.errors import Exit, UserError
from pinrace.kbuild import checks, kernel
from pinrace.kbuild.checks import Remark
from pinrace.series.apply import apply
from pinrace.trees.git import read_object, repository
from pinrace.trees.worktree import worktree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this action."""
    options.tree_options(parser)
    options.kernel_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print each remark; those about the kernel's own code fail."""
    asked = options.request(args)
    tree, wanted = options.request_tree(args)
    if wanted is None:
        raise UserError("there is no series to check", hint="--series FOLDER")
    if asked.kernel:
        raise UserError("the kernel has to be built of the series", hint="leave out --kernel")
    patched = apply(tree, wanted, say=ui.say)
    plans = [
        kernel.plan(patched, arch, kernel.BuildOptions(flavor, asked.extra, asked.llvm, asked.jobs))
        for arch in asked.arches
        for flavor in asked.flavors
    ]
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
