# SPDX-License-Identifier: GPL-2.0-or-later
"""The stages that come before a guest: from a request to kernels and images."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pinrace import store, ui
from pinrace.arches import ARCHES, get_abi
from pinrace.errors import UserError
from pinrace.host import sandbox
from pinrace.image.initramfs import FILE_NAME, guest_image
from pinrace.kbuild import kconfig, sources, warnings
from pinrace.kbuild import kernel as kbuild
from pinrace.kbuild.userspace import Source, compiler_identity
from pinrace.paths import cache_dir
from pinrace.series.load import apply
from pinrace.suites.brought import Brought
from pinrace.suites.suite import Suite
from pinrace.trees.worktree import worktree
from pinrace.values import Cell, Image, Kernel, PatchedTree, Request, Series, Tree


@dataclass(frozen=True)
class Built:
    """What a tree came to: kernels by (arch, flavor), images by ABI, what suites bring by both.

    wishes: by suite, the name of what it adds to a flavor, which is a flavor of its own then.
    asks: by suite, the options that it asks for itself.
    """

    tree: PatchedTree
    kernels: dict[tuple[str, str], Kernel]
    images: dict[str, Image]
    loads: dict[tuple[str, str], Brought] = field(default_factory=dict)
    wishes: dict[str, str] = field(default_factory=dict)
    asks: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def kernel(self, cell: Cell) -> Kernel:
        """Return the kernel that a cell boots; one that the user built serves all suites."""
        named = "+".join(filter(None, (cell.flavor, self.wishes.get(cell.suite))))
        own = self.kernels.get((cell.arch, named))
        return own or self.kernels[cell.arch, cell.flavor]

    def lacks(self, cell: Cell) -> tuple[str, ...]:
        """Return the options that a cell's suite asks for and its kernel does not have."""
        config = self.kernel(cell).config
        if not config.is_file():
            return ()  # of a kernel that the user built
        got = kconfig.parse(config.read_text())
        return tuple(kconfig.refusals(self.asks.get(cell.suite, ()), got))

    def brought_by(self, cell: Cell) -> Brought:
        """Return what a cell's suite brings."""
        return self.loads.get((cell.suite, cell.abi), Brought())


@dataclass(frozen=True)
class Lab:
    """All that cells need: the tree with the series, and the tree without it to compare with."""

    patched: Built
    base: Built | None  # None when it is not wanted, or the same


def prepare(
    asked: Request,
    tree: Tree,
    series: Series | None,
    *,
    with_base: bool,
    images: bool = True,
    suites: Sequence[Suite] = (),
) -> Lab:
    """Apply, configure and build what is missing; say a line for each kernel.

    suites: those whose wishes for a configuration count, and whose programs are built.
    """
    patched_tree = apply(tree, series, say=ui.say)
    named = f"{series.name} ({series.count})" if series else "none"
    ui.say(
        f"pinrace · {tree.label} ({tree.origin}, {tree.trust}) · "
        f"series {named} · tree {patched_tree.tree_id[:12]}"
    )
    if not asked.kernel:
        ui.say(f"builds  in {sandbox.said()}")
    base = None
    if with_base and patched_tree.tree_id != tree.tree_id and not asked.kernel:
        # First, so that what the series touches is all that is compiled again.
        plain = PatchedTree(tree, None, tree.tree_id, tree.commit)
        base = _built(plain, asked, images, suites, patched_tree)
    patched = _built(patched_tree, asked, images, suites, patched_tree)
    if base:
        patched = replace(patched, loads=_held_against(patched.loads, base.loads))
    if base:
        for text in new_warnings(patched, base):
            ui.say(f"  the series adds a warning: {text}")
    return Lab(patched, base)


def _built(
    tree: PatchedTree,
    asked: Request,
    images: bool,
    suites: Sequence[Suite],
    wishes: PatchedTree,
) -> Built:
    """Build one tree; `wishes` is the one whose suites say how kernels are configured."""
    soft = {suite.name: suite.soft(wishes) for suite in suites}
    kernels = kernels_of(tree, asked, dict(soft.values()))
    if not images:
        return Built(tree, kernels, {})
    made = images_of(tree, asked.abis)
    names = {suite: name for suite, (name, _) in soft.items()}
    asks = {suite.name: suite.asks(wishes) for suite in suites}
    loads = _loads(tree, asked.abis, suites, wishes)
    return Built(tree, kernels, made, loads, names, asks)


def kernels_of(
    tree: PatchedTree, asked: Request, soft: Mapping[str, tuple[str, ...]] | None = None
) -> dict[tuple[str, str], Kernel]:
    """Have all kernels of the request, one make at a time with all cores.

    soft: by name, what suites ask for on top of a flavor; nothing without suites.
    """
    wishes = soft or {"": ()}
    kernels = {}
    for flavor, (name, lines) in itertools.product(asked.flavors, wishes.items()):
        options = kbuild.BuildOptions(flavor, asked.extra, asked.llvm, asked.jobs, lines, name)
        for arch in asked.arches:
            if asked.kernel:
                kernels[arch, flavor] = kbuild.prebuilt(asked.kernel, arch)
                ui.say(f"build   {arch} takes {asked.kernel}")
            else:
                kernels[arch, options.named] = _kernel(kbuild.plan(tree, arch, options))
    return kernels


def _loads(
    tree: PatchedTree, abis: Iterable[str], suites: Sequence[Suite], whole: PatchedTree
) -> dict[tuple[str, str], Brought]:
    """Have what the suites bring to guests of these ABIs.

    whole: the tree with its series.  A test that only the series brings is absent without it.
    """
    made = {}
    for suite, abi in itertools.product(suites, abis):
        try:
            brought = suite.bring(tree, get_abi(abi), source(tree))
        except UserError as error:
            if whole == tree:
                raise
            brought = Brought(absent={suite.name: f"not in this tree: {error.what}"})
        made[suite.name, abi] = brought
        if suite.many:
            absent = f", {len(brought.absent)} cannot be run" if brought.absent else ""
            ui.say(f"suite   {suite.name} for {abi}: {len(brought.jobs)} tests{absent}")
    return made


def _held_against(
    mine: Mapping[tuple[str, str], Brought], base: Mapping[tuple[str, str], Brought]
) -> dict[tuple[str, str], Brought]:
    """Tell what does not build any more from what never did."""
    found = {}
    for key, brought in mine.items():
        ran = {job.name for job in base[key].jobs} if key in base else set()
        broken = {name: why for name, why in brought.absent.items() if name in ran}
        absent = {name: why for name, why in brought.absent.items() if name not in ran}
        found[key] = replace(brought, absent=absent, broken=broken)
    return found


def _kernel(plan: kbuild.Plan) -> Kernel:
    found = kbuild.find(plan)
    if found:
        ui.say(f"build   {plan.label}  cached {_age(found)}")
        return found
    began = time.monotonic()
    ui.say(f"build   {plan.label}  …")
    with ui.meter(plan.label) as progress:
        built = kbuild.build(plan, progress=progress)
    data = kbuild.metadata(built)
    ui.say(
        f"build   {plan.label}  {data['compiled']} objects, ccache {data['ccache']}, "
        f"{time.monotonic() - began:.0f} s"
    )
    return built


def _age(built: Kernel) -> str:
    """How long ago a kernel was built."""
    hours = (time.time() - (built.folder / "metadata.json").stat().st_mtime) / 3600
    if hours < 1:
        return f"{hours * 60:.0f} min ago"
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def images_of(tree: PatchedTree, abis: Iterable[str]) -> dict[str, Image]:
    """Have the images of these ABIs; the work tree is taken only when a file of it is needed."""
    images = {}
    for name in abis:
        known = _known_image(tree, name)
        if known is None:
            abi = get_abi(name)
            known = guest_image(ARCHES[abi.arch], abi, tree, source(tree))
            store.write_json(_image_note(tree, name), known.digest)
        images[name] = known
    return images


def source(tree: PatchedTree) -> Source:
    """Return what gives a tree's files, see kbuild.userspace."""

    @contextmanager
    def give() -> Iterator[Path]:
        with worktree(tree.base, say=ui.say) as place:
            place.checkout(tree.commit)
            yield place.path

    return give


def _image_note(tree: PatchedTree, abi_name: str) -> Path:
    """Where it is noted which image came of this tree, these guest programs and compilers."""
    abi = get_abi(abi_name)
    found = sources.files("*")
    compilers = tuple(compiler_identity(each) for each in ARCHES[abi.arch].abis)
    contents = (path.read_bytes() for path in found.values())
    wanted = repr(sources.programs())
    key = store.digest(tree.tree_id, abi_name, *compilers, wanted, *found, *contents)
    folder = cache_dir() / "image-notes"
    folder.mkdir(exist_ok=True)
    return folder / f"{key}.json"


def _known_image(tree: PatchedTree, abi_name: str) -> Image | None:
    """Return the image that was made of the same before, if it is still there."""
    note = _image_note(tree, abi_name)
    if not note.exists():
        return None
    digest = json.loads(note.read_text())
    folder = store.find("images", digest)
    arch = get_abi(abi_name).arch
    return Image(digest, arch, abi_name, folder / FILE_NAME) if folder else None


def how_built(lab: Lab) -> dict[str, str]:
    """Return what contained the build of each kernel, for results: "bubblewrap 0.8.0"."""
    found = {}
    for what, made in (("", lab.patched), ("unpatched ", lab.base)):
        for (arch, flavor), kernel in made.kernels.items() if made else ():
            said = kbuild.metadata(kernel).get("sandbox", "not known: built elsewhere or before")
            found[f"{what}{arch} {flavor}"] = said
    return found


def new_warnings(patched: Built, base: Built | None) -> tuple[str, ...]:
    """Return the compiler warnings that the series adds; all of them without a base."""
    found: list[str] = []
    for key, one in patched.kernels.items():
        had = kbuild.metadata(base.kernels[key])["warnings"] if base and key in base.kernels else []
        found += warnings.added(kbuild.metadata(one)["warnings"], had)
    return tuple(dict.fromkeys(found))
