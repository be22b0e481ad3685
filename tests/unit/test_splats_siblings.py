# SPDX-License-Identifier: GPL-2.0-or-later
"""Rarer forms of what kernels print are found under their names; quoted old logs are not."""

from __future__ import annotations

import pytest
from splat_logs import CUT, END, FATAL, log, regs, trace, warn, who

from pinrace.judge.splats import deaf, find, load_rules


def _stack(*functions: str) -> list[str]:
    return [*who(), *trace(*functions)]


REPORTS = {
    "split lock": (["Oops: Split lock detected", ": 0000 [#1] SMP"], "oops"),
    "fred": (
        [
            "BUG: invalid or fatal FRED event; event type 3 vector 13 error 0x0 aux 0x0",
            "Oops: Invalid or fatal FRED event: 0000 [#1] SMP",
        ],
        "oops",
    ),
    "early": (["PANIC: early exception 0x0d IP 10:ffffffff81234567 error 0 cr2 0x0"], "oops"),
    "key": (["BUG: key ffff888004a1c010 has not been registered!"], "lockdep"),
    "subclass": (["BUG: looking up invalid subclass: 9"], "lockdep"),
    "locks": (["Leaked locks on dev=0x0:0x5 ino=0x7b:"], "leak"),
    "suppressed stall": (
        ["rcu: INFO: rcu_preempt detected stall, but suppressed full report due to x."],
        "rcu-stall",
    ),
    "suppressed expedited stall": (
        ["rcu: INFO: rcu_preempt detected expedited stalls, but suppressed full report due to x."],
        "rcu-stall",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_one_report_of_its_own_kind(name: str) -> None:
    head, rule = REPORTS[name]
    (found,) = find(log(head, who(), regs("qed_walk"), trace("qed_walk", "qed_open"), END))
    assert found.rule == rule
    assert "qed_walk" in found.fingerprint


def test_busy_inodes_and_their_bug_are_one() -> None:
    said = "VFS: Busy inodes after unmount of vda (qedfs)"
    (found,) = find(log(said, CUT, "kernel BUG at fs/super.c:650!", regs("qed_kill"), trace("qed")))
    assert found.rule == "leak"
    assert find(log(said))[0].rule == "leak"


def test_words_of_a_kobject_and_their_warning_are_one() -> None:
    why = "is not initialized, yet kobject_put() is being called."
    words = f"kobject: '(null)' (ffff888004a1c010): {why}"
    (found,) = find(log(CUT, words, warn("kobject_put", "qed_drop")[1:]))
    assert found.rule == "kobject"
    assert "qed_drop" in found.fingerprint


def test_a_panic_behind_a_whole_report_has_its_stack() -> None:
    panic = [
        "Kernel panic - not syncing: kernel: panic_on_warn set ...",
        *_stack("vpanic", "panic"),
    ]
    (found,) = find(log(warn("qed_drop"), panic))
    assert (found.rule, found.panicked) == ("warn", True)
    assert find(log(warn("qed_drop"), FATAL))[0].fingerprint == found.fingerprint


def test_helpers_of_data_structures_do_not_fill_a_fingerprint() -> None:
    carriers = ("xas_alloc", "xas_create", "xas_store", "__xa_store", "xa_store")
    (one,), (other,) = (find(log(warn(*carriers, name))) for name in ("qed_add", "wip_add"))
    assert one.fingerprint != other.fingerprint


OFF = {
    "DMA-API: cacheline tracking ENOMEM, dma-debug disabled": "dma-api",
    "DMA-API: debugging out of memory error - disabled": "dma-api",
    "ref_tracker: memory allocation failure, unreliable refcount tracker.": "ref-tracker",
    "kfence: failed to allocate pool": "kfence",
    "kmemleak: Kmemleak disabled without freeing internal data. Reclaim the memory": "kmemleak",
}


@pytest.mark.parametrize("line", OFF)
def test_a_detector_says_that_it_is_off(line: str) -> None:
    found = find(log(line))
    assert OFF[line] in deaf(found)
    assert not any(load_rules().counts(splat) for splat in found)


@pytest.mark.parametrize(
    "before", ["\t", "    ", "> ", "| ", "# ", "old.txt:12:", "44:", "(12)", "vm kernel: ", "+"]
)
def test_an_old_log_of_several_lines_is_no_report(before: str) -> None:
    quoted = ("[   12.345678] Kernel panic - not syncing: x", "[   12.345679] Call Trace:")
    assert find(log(*(f"raw:{before}{line}" for line in quoted))) == ()


@pytest.mark.parametrize("before", ["waiting:", "# waiting "])
def test_a_report_behind_a_half_line_counts_where_the_next_line_agrees(before: str) -> None:
    first = "[   20.000000] BUG: KASAN: slab-use-after-free in qed_get+0x10/0x80"
    (found,) = find(log(f"raw:{before}{first}", _stack("kasan_report", "qed_get")))
    assert found.rule == "kasan"


USERS = (
    ["ref_tracker: netdev@ffff888004a1c000 has 2/3 users at", "     qed_open+0x1f/0x60", ""],
    ["ref_tracker: netdev@ffff888004a1c000 has 1/3 users at", "     qed_dial+0x1f/0x60", ""],
)
LEFT = warn(
    "ref_tracker_dir_exit",
    "qed_destroy",
    head="WARNING: lib/ref_tracker.c:228 at ref_tracker_dir_exit+0x5e/0x90, CPU#1: qed/217",
)


def test_a_list_of_references_and_its_warning_are_one() -> None:
    (found,) = find(log(*USERS, LEFT))
    assert (found.rule, found.fingerprint) == ("leak", "leak: qed_open")
    assert "end trace" in found.text
    (waiting,) = find(log("unregister_netdevice: waiting for qed0 to become free. Usage", *USERS))
    assert waiting.rule == "netdev"


def test_another_warning_behind_such_a_list_is_its_own() -> None:
    other = warn("qed_pour", "qed_brew", words="qed: out of tea")
    listed, mine = find(log(*USERS, other))
    (alone,) = find(log(other))
    assert (listed.rule, mine.fingerprint) == ("leak", alone.fingerprint)
    assert "qed_pour" not in listed.text
    assert [splat.rule for splat in find(log(*USERS, "BUG: Bad page state in process qed"))] == [
        "leak",
        "bad-page",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ["BUG: workqueue leaked lock or atomic: kworker/{0}:1/0x1/23", "     last function: {1}"],
        [
            "BUG: workqueue leaked atomic, lock or RCU: kworker/{0}:1[2{0}]",
            "     preempt=0x00000001 lock=0->0 RCU=0->0 workfn={1}",
        ],
    ],
)
def test_what_a_worker_leaked_is_named_by_its_function(lines: list[str]) -> None:
    stack = trace("process_one_work", "worker_thread", "kthread", syscall=False)
    one, same, other = (
        find(log([line.format(cpu, work) for line in lines], who(), stack))[0].fingerprint
        for cpu, work in ((0, "brew_work"), (1, "brew_work"), (0, "stir_work"))
    )
    assert one == same == "leak workqueue leaked: brew_work"
    assert other != one


@pytest.mark.parametrize(
    "frame",
    [
        " [<80{1:06x}>] ({0}) from [<80{2:06x}>] ({0}_more+0x1c/0x40 [qed])",
        " {0} from {0}_more+0x1c/0x40",
    ],
)
def test_frames_of_32_bit_arm(frame: str) -> None:
    head = [
        "Unable to handle kernel NULL pointer dereference at virtual address 00000048",
        "[00000048] *pgd=00000000",
        "Internal error: Oops: 17 [#1] PREEMPT SMP ARM",
        "CPU: 1 PID: 217 Comm: qed Not tainted 6.1.90 #1",
        "PC is at qed_pour+0x64/0xec",
        "LR is at qed_fill+0x20/0x54",
        "pc : [<80114d3c>]    lr : [<80054b40>]    psr: 00000113",
        "r10: 00000002  r9 : 8020d000  r8 : 00000000",
        "Process qed (pid: 217, stack limit = 0x8020c210)",
        "Stack: (0x8020dd90 to 0x8020e000)",
        "dd80:                                     8020ddb4 00000000 80114d3c 8020e000",
    ]
    calls = [
        frame.format(name, 4096 + i, 8192 + i) for i, name in enumerate(("qed_pour", "qed_ioctl"))
    ]
    (found,) = find(
        log(head, "Backtrace: ", calls[0], "  r6:00000000 r5:8020ddb4 r4:00000001", calls[1])
    )
    assert found.fingerprint == "oops: qed_pour < qed_ioctl"
    (stall,) = find(log("rcu: INFO: rcu_sched self-detected stall on CPU", who(), calls))
    assert stall.fingerprint == "rcu-stall: qed_pour < qed_ioctl"


def test_a_lock_report_that_was_cut_short_is_named_by_where_the_lock_is_taken() -> None:
    lines = [
        "WARNING: Nested lock was not taken",
        "qed/217 is trying to lock:",
        "ffff888004a1c9d8 (&tea->lock){+.+.}-{2:2}, at: qed_pour+0x90/0x334",
    ]
    assert find(log(lines))[0].fingerprint == "lockdep Nested lock was not taken: qed_pour"


@pytest.mark.parametrize("caller", ["", "[  T217] "])
@pytest.mark.parametrize("boot", ["", "[    0.000000] Command line: quiet printk.time=0\n"])
def test_a_log_whose_lines_have_no_times_is_read(caller: str, boot: str) -> None:
    lines = [f"{caller}{text}" for text in ("Linux version 7.3.4", *LEFT, "Run /init")]
    (found,) = find(boot + "\n".join(lines))
    assert (found.rule, found.fingerprint) == ("warn", "warn: ref_tracker_dir_exit < qed_destroy")
