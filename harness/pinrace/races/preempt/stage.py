# SPDX-License-Identifier: GPL-2.0-or-later
"""Play holds in a guest that runs a race: who runs, up to where, and what came of it.

What is known of a stop is read from the machine after each: a vCPU is only believed to be at a
point when its program counter says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence

from pinrace.arches import Arch
from pinrace.errors import InfrastructureError
from pinrace.races.preempt import calls, played
from pinrace.races.preempt.irqstacks import IrqStacks
from pinrace.races.preempt.played import LostError, Mark, Played
from pinrace.races.preempt.spec import DONE, SIDES, Hold, Move
from pinrace.races.preempt.stub import SIGINT, Stub
from pinrace.races.preempt.symbols import Function, Symbols

MARKER = "find_task_by_vpid"  # its first argument tells where the guest program is
INIT_PID = 1  # a process that there always is

ALONE_SECONDS = 6.0  # host seconds for one vCPU alone; what no blocker shows ends here
SLICE = 0.1  # of it, after which one looks where it is
ROUND_SECONDS = 60.0  # for everything else of a round
MOST_STEPS = 20_000  # instructions of one window
MOST_STOPS = 1000  # of others on the way to one point
ANOTHER_WAY = "it went another way than in the round before"  # to be played again
NEAR = 8192  # bytes: half of the smallest kernel stack of a task
LONGEST = 16  # bytes, of an instruction: what a call returns to is no further


class Stage:
    """A guest whose vCPUs run when they are told to.  Belongs to one thread."""

    def __init__(
        self,
        stub: Stub,
        arch: Arch,
        symbols: Symbols,
        *,
        sides: Sequence[str] = ("a", "b"),
        waits: float = 0.0,
    ) -> None:
        """Take over a guest whose program waits for a debugger.

        waits: host seconds for which a side may sleep before it counts as blocked.
        """
        self._sides, self._waits = tuple(sides), waits
        self._stub = stub
        self._arch = arch
        self._debug = arch.debug
        self._symbols = symbols
        self._inserted: set[int] = set()
        self._told: dict[int, int] = {}  # by thread, the breakpoint whose stop was seen
        self._traps = re.compile(arch.debug.traps)
        # By side and function, its own instructions in the order in which they were made: where,
        # and how far down the stack.
        self._ways: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._home = dict.fromkeys(SIDES.values(), 0)  # by thread, a stack pointer of the side's
        self._irq_stacks = IrqStacks(stub, arch, symbols)
        self._strange: dict[str, int] = {}  # by function, entries on nobody's stack
        marker = symbols.address(MARKER)
        if marker is None:
            raise InfrastructureError(f"this kernel has no {MARKER}")
        self._marker = marker
        self._idle = symbols.find(played.IDLE).entries[0]
        self._blockers = {
            a: name for name in played.BLOCKERS if (a := symbols.address(name)) is not None
        }
        self.rounds = 0  # that have begun
        self._threads = stub.threads()
        #  Who runs beside a side that runs alone: CPUs that have no side.
        taken = {SIDES[side] for side in self._sides}
        self._free = [thread for thread in self._threads if thread not in taken]
        self._stub_thread = self._threads[0]  # the one that stands at the last marker
        self._insert([marker])
        self._until_mark(Mark.HELLO, ROUND_SECONDS)
        self._answer()

    def find(self, name: str) -> Function:
        """Return a function of this kernel."""
        return self._symbols.find(name)

    @property
    def strange(self) -> dict[str, int]:
        """How often a function was entered on a stack that is no side's, by its name."""
        return dict(self._strange)

    def next_round(self) -> None:
        """Let the guest run until it is about to begin a round."""
        self._until_mark(Mark.NEXT, ROUND_SECONDS)
        self.rounds += 1

    def leave(self) -> None:
        """End the rounds, from where next_round() has led, and let the guest be."""
        self._answer()
        for address in tuple(self._inserted):
            self._stub.remove(address)
        self._inserted.clear()
        self._stub.detach()

    def _answer(self) -> None:
        """Tell the guest program that its marker was seen: its call succeeds."""
        self._stub.write_register(self._stub_thread, self._debug.first, INIT_PID)

    def play(self, hold: Hold, *, slide: frozenset[int] | None = None) -> Played:
        """Make the moves of a hold in a round of its own, in another one if its way was not known.

        slide: have the sweep's move go on to one of these instructions, which it then ends before.
        Raises LostError when a round does not end, and StubGoneError when QEMU does.
        """
        came = self._play(hold, slide)
        return self._play(hold, slide) if came.stopped == ANOTHER_WAY else came

    def _play(self, hold: Hold, slide: frozenset[int] | None) -> Played:
        self.next_round()
        self._ready()
        stopped, over, at = "", False, None
        added = self._insert(self._blockers)
        try:
            for number, move in enumerate(hold.moves):
                if number != hold.at:
                    self._make(move)
                    continue
                count = self._make(move, slide)
                at = self._pc(SIDES[move.side]) if move.function != DONE else None
                hold = hold.at_count(count)
        except played.CutError as cut:
            stopped, over = cut.why, cut.over
        self._remove(added)
        verdict = played.decode(self._until_mark(Mark.END, ROUND_SECONDS))
        return Played(hold, verdict, stopped, over, at)

    def functions(self, side: str) -> tuple[str, ...]:
        """Step through a side's whole operation in the round that is about to begin.

        Returns the names of the functions that it ran, in the order of their first instructions,
        and sees the round end.
        """
        self._ready()
        thread = SIDES[side]
        seen: dict[str, None] = {}
        for _ in range(MOST_STEPS):
            self._told.pop(thread, None)
            self._stub.step(thread)
            seen[self._symbols.name_at(self._pc(thread))] = None
            mark = self._mark(thread)
            if self._pc(thread) == self._idle or (mark and mark[0] in played.ENDS):
                break
        self._until_mark(Mark.END, ROUND_SECONDS)
        return tuple(name for name in seen if name)

    # ---- moves ----

    def _ready(self) -> None:
        """Bring all sides to where their operations begin."""
        waiting = {played.READY[side]: SIDES[side] for side in self._sides}
        threads = list(self._threads)
        until = time.monotonic() + ROUND_SECONDS
        while waiting:
            stop = self._go(threads, until - time.monotonic())
            mark = self._mark(stop) if stop is not None else None
            if mark is None or mark[0] not in waiting:
                if time.monotonic() > until:
                    raise LostError("the sides of a round did not get ready")
                continue
            if stop is None or waiting.pop(mark[0]) != stop:
                raise LostError(f"{mark[0].name} came from another CPU")
            self._home[stop] = self._register(stop, self._debug.sp)
            threads = [*waiting.values(), *self._free] if waiting else []

    def _make(self, move: Move, slide: frozenset[int] | None = None) -> int:
        """Have one side run alone up to its point; return the count of that."""
        if move.function == DONE:
            idle = (self._idle,) if move.side == "t" else ()
            self._alone(move.side, idle, until_done=True)
            return 0
        function = self.find(move.function)
        self._alone(move.side, function.entries)
        return self._advance(move.side, function, move.count, slide)

    def _advance(
        self, side: str, function: Function, count: int, slide: frozenset[int] | None
    ) -> int:
        """Have a vCPU make so many instructions of a function, calls count as one; return how many.

        What is known of the way from earlier rounds is run, the rest is stepped.
        """
        thread = SIDES[side]
        way = self._ways.setdefault((side, function.name), [])
        top = self._register(thread, self._debug.sp)
        made = self._run_along(side, way, count, top)
        for _ in range(MOST_STEPS):
            pc = self._pc(thread)
            if function.owns(pc):
                if made == len(way):
                    way.append((pc, top - self._register(thread, self._debug.sp)))
                if made >= count and (slide is None or pc in slide):
                    return made
                made += 1
            self._step(side, function, pc)
        raise played.CutError(f"{function.name} took more than {MOST_STEPS} steps")

    def _run_along(self, side: str, way: list[tuple[int, int]], count: int, top: int) -> int:
        """Run along a known way as far as it is known and wanted; return how far that is."""
        last = min(count, len(way) - 1)
        if last < 0:
            return 0
        pc, down = way[last]
        if way[0][0] != self._pc(SIDES[side]):
            way.clear()
            return 0
        try:
            for _ in range(way[1 : last + 1].count(way[last])):
                self._alone(side, (pc,), sp=top - down)
        except played.CutError as cut:
            if not cut.over:
                raise
            way.clear()
            raise played.CutError(ANOTHER_WAY) from cut
        return last

    def _step(self, side: str, function: Function, before: int) -> None:
        """Make one instruction, and all of what it calls."""
        thread = SIDES[side]
        self._told.pop(thread, None)
        self._stub.step(thread)
        pc = self._pc(thread)
        if function.holds(pc):
            return
        if self._traps.fullmatch(self._symbols.name_at(pc)):
            self._alone(side, (before,))
            return
        back = self._return_address(thread)
        if not before < back <= before + LONGEST:
            raise played.CutError(f"{function.name} was left before that", over=True)
        sp = self._register(thread, self._debug.sp) + self._debug.pushed
        self._alone(side, (back,), sp=sp)

    def _return_address(self, thread: int) -> int:
        """Return where a function that has just been entered returns to."""
        if self._debug.link is not None:
            return self._register(thread, self._debug.link)
        sp = self._register(thread, self._debug.sp)
        return int.from_bytes(self._stub.read_memory(thread, sp, self._debug.pushed), "little")

    def _alone(
        self, side: str, targets: Iterable[int], *, sp: int | None = None, until_done: bool = False
    ) -> None:
        """Run one side's CPU alone to one of these addresses; cut the hold when it gets nowhere.

        sp: the stack pointer there, when it is known; else any of the side's own task will do.
        until_done: the marker of its operation's end is such a place, unless there is another.
        """
        thread, wanted = SIDES[side], set(targets)
        if sp is None and self._pc(thread) in wanted and self._is(side):
            self._told[thread] = self._pc(thread)
            return
        added = self._insert(wanted)
        began = time.monotonic()
        until = began + ALONE_SECONDS + self._waits
        asked = 0  # how often the CPUs that are held had to answer
        try:
            for _ in range(MOST_STOPS):
                stop = self._go([thread, *self._free], min(SLICE, until - time.monotonic()))
                if stop is None:
                    asked = self._answer_calls(thread, asked)
                    if time.monotonic() < until:
                        continue
                    where = self._symbols.name_at(self._pc(thread)) or "user space"
                    raise played.CutError(
                        f"no end after {time.monotonic() - began:.0f} s, in {where}"
                    )
                asked = 0
                if stop != thread:
                    continue
                if self._there(side, wanted, sp, until_done=until_done):
                    return
                if self._pc(thread) == self._idle and self._idle not in wanted:
                    # It waits for somebody who is held, or for a time that comes.
                    until = min(until, time.monotonic() + self._waits)
                    if time.monotonic() >= until:
                        raise played.CutError(f"blocked in {played.IDLE}")
            raise played.CutError("too many stops on the way")
        finally:
            self._remove(added)

    def _answer_calls(self, thread: int, asked: int) -> int:
        """Have CPUs that are held answer one that waits for them; return how often they had to."""
        where = self._symbols.name_at(self._pc(thread))
        if where not in calls.WAITERS:
            return 0
        if asked == calls.MOST_ASKED:
            raise played.CutError(f"blocked in {where}")
        for other in self._threads:
            if other != thread and other not in self._free:
                calls.answer(self._stub, self._arch, other, self._inserted)
        return asked + 1

    def _there(self, side: str, wanted: set[int], sp: int | None, *, until_done: bool) -> bool:
        """Whether a side that stopped is where it was to go; cut the hold when it gets nowhere."""
        thread = SIDES[side]
        pc = self._pc(thread)
        if pc in wanted and self._is(side, sp):
            return True
        if pc in wanted and sp is None:
            name = self._symbols.name_at(pc)
            self._strange[name] = self._strange.get(name, 0) + 1
        if pc in self._blockers and pc not in wanted and pc != self._idle:
            raise played.CutError(f"blocked in {self._blockers[pc]}")
        mark = self._mark(thread)
        if mark and mark[0] in played.ENDS:
            if not until_done:
                raise played.CutError("its operation ended before that", over=True)
            return not wanted
        return False

    def _is(self, side: str, sp: int | None = None) -> bool:
        """Whether it is the side's own task that its CPU runs; sp: and that deep in its stack.

        An interrupt on the side's CPU counts as the side's: what it sends is received there.
        """
        thread = SIDES[side]
        here = self._register(thread, self._debug.sp)
        if sp is not None:
            return here == sp
        own = abs(here - self._home[thread]) < NEAR
        if side == "t":
            return not own
        return own or self._irq_stacks.has(thread, here)

    # ---- running ----

    def _go(self, threads: list[int], seconds: float) -> int | None:
        """Run these vCPUs until one is at a breakpoint; return which, None when time is over.

        The others, stopped too, may stand at a breakpoint that they have not been told of.
        """
        for thread in threads:
            pc = self._pc(thread)
            if pc in self._inserted and self._told.get(thread) == pc:
                self._told.pop(thread)
                self._stub.step(thread)
        everyone = len(threads) == len(self._threads)
        stop = self._stub.run(None if everyone else threads, max(seconds, 0.1))
        if stop.signal == SIGINT:
            return None
        pc = self._pc(stop.thread)
        if pc not in self._inserted:
            where = self._symbols.name_at(pc)
            raise LostError(f"CPU {stop.thread - 1} stopped at {pc:#x} ({where}) of its own")
        self._told[stop.thread] = pc
        return stop.thread

    def _until_mark(self, wanted: Mark, seconds: float) -> int:
        """Run everything until a marker; return what it carries."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            stop = self._go(self._threads, until - time.monotonic())
            mark = self._mark(stop) if stop is not None else None
            if mark and stop and mark[0] is wanted:
                self._stub_thread = stop
                return mark[1]
        raise LostError(f"no marker {wanted.name} in {seconds:.0f} s")

    def _mark(self, thread: int) -> tuple[Mark, int] | None:
        """Return the marker that a vCPU stands at and what it carries; None when it is none."""
        if self._pc(thread) != self._marker:
            return None
        number = self._register(thread, self._debug.first) & 0xFFFFFFFF
        kind = number >> 20 & 0xF
        if number & 0xFF000000 != played.MAGIC or kind not in played.MARKS:
            return None
        return Mark(kind), number & 0xFFFFF

    # ---- state ----

    def _pc(self, thread: int) -> int:
        return self._register(thread, self._debug.pc)

    def _register(self, thread: int, number: int) -> int:
        return self._stub.read_register(thread, number)

    def _insert(self, addresses: Iterable[int]) -> list[int]:
        """Set breakpoints; return those that were not there yet."""
        added = [a for a in dict.fromkeys(addresses) if a not in self._inserted]
        for address in added:
            self._stub.insert(address)
            self._inserted.add(address)
        return added

    def _remove(self, addresses: Iterable[int]) -> None:
        for address in addresses:
            self._stub.remove(address)
            self._inserted.discard(address)
