# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a token gives the same: the verdict of a hold, the fingerprint of a seed."""

from __future__ import annotations

from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Replay
from pinrace.host.meter import Meter
from pinrace.races.benchmark import holding, journal
from pinrace.races.benchmark import run as runs
from pinrace.races.benchmark.arms import Bench
from pinrace.races.benchmark.run import JOURNAL, Lab
from pinrace.races.benchmark.trial import Repeat
from pinrace.races.benchmark.windows import SERIES, Window
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt import token as hold_tokens
from pinrace.races.preempt.session import get_lab
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made

HELD = ("torn-path", "begun-twice")  # windows whose hold is replayed: one planted, one not
JOB = "race"  # its fingerprint has the moment of each of its rounds
SEED = 7
BATCH = 20  # holds of one guest
FIRST = 600.0  # CPU seconds to find the hold


def have(lab: Lab, windows: dict[str, Window], abis: tuple[str, ...], times: int) -> list[Repeat]:
    """Replay on each ABI until there are that many; return what did not give the same."""
    done = runs.repeats(lab)
    for abi in abis:
        _seeds(lab, abi, times, done)
        for name in HELD:
            if name in windows:
                _holds(lab, windows[name], abi, times, done)
    return [one for one in done if one.same < one.of]


def _mine(done: list[Repeat], kind: str, abi: str, what: str) -> list[Repeat]:
    return [one for one in done if (one.kind, one.abi, one.what) == (kind, abi, what)]


def _keep(lab: Lab, done: list[Repeat], one: Repeat) -> None:
    journal.append(lab.folder / JOURNAL, one)
    done.append(one)


def _seeds(lab: Lab, abi: str, times: int, done: list[Repeat]) -> None:
    """Boot the same run again and again; the first one is the reference of all."""
    arch = get_abi(abi).arch
    machine = replays.get_replay_machine(arch, Replay(SEED), 2)
    kernel, image = lab.kernels[SERIES, arch], lab.images[abi]
    made = Made(kernel, image, machine, replays.get_jobs(JOB, SEED))
    mine = _mine(done, "seed", abi, JOB)
    count = sum(one.of for one in mine)
    reference = mine[0].reference if mine else ""
    folder = lab.folder / "last" / f"seed-{abi}"
    if count < times and not reference:
        reference = replays.run_once(made, folder).fingerprint
    while count < times:
        found = replays.run_once(made, folder).fingerprint
        token = replays.make_token(
            made, reference, tree=lab.tree.spec, patched=kernel.tree_id, abi=abi
        )
        digest = lab.made(SERIES, abi, arch)
        same = int(found == reference)
        _keep(lab, done, Repeat("seed", abi, JOB, digest, reference, same, 1, str(token)))
        count += 1
        if not count % BATCH or not same or count == times:
            ui.say(f"repeat  {abi:<7} seed {JOB}  {_counted(done, 'seed', abi, JOB)}")


def _holds(lab: Lab, window: Window, abi: str, times: int, done: list[Repeat]) -> None:
    """Find the first hold of a window, and play it again and again, in several guests."""
    mine = _mine(done, "hold", abi, window.name)
    count = sum(one.of for one in mine)
    if count >= times:
        return
    arch = get_abi(abi).arch
    image = lab.images[abi]
    held = get_lab(lab.kernels[window.kernel, arch], image)
    folder = lab.folder / "last" / f"hold-{window.name}-{abi}"
    token = mine[0].token if mine else _first(lab, window, abi, folder)
    parsed = hold_tokens.parse(token)
    while count < times:
        batch = min(BATCH, times - count)
        verdicts = hunts.replay(held, window.scenario, parsed.spec, folder, times=batch)
        same = verdicts.count(parsed.verdict)
        digest = lab.made(window.kernel, abi, arch)
        _keep(
            lab,
            done,
            Repeat("hold", abi, window.name, digest, parsed.verdict, same, batch, token),
        )
        count += batch
        said = _counted(done, "hold", abi, window.name)
        ui.say(f"repeat  {abi:<7} hold {window.name} {parsed.hold}  {said}")


def _first(lab: Lab, window: Window, abi: str, folder: Path) -> str:
    """Return the token of the first hold of a window that is violated."""
    arch = get_abi(abi).arch
    bench = Bench(window, lab.kernels[window.kernel, arch], lab.images[abi], 1, folder)
    found = holding.given(bench, Meter(FIRST))
    if not found.hold:
        raise InfrastructureError(
            f"no hold of {window.name} was found on {abi}", log=folder, hint="pinrace hunt"
        )
    return runs.token_of(lab, bench, found)


def _counted(done: list[Repeat], kind: str, abi: str, what: str) -> str:
    mine = _mine(done, kind, abi, what)
    return f"{sum(one.same for one in mine)}/{sum(one.of for one in mine)} the same"
