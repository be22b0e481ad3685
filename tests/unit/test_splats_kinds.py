# SPDX-License-Identifier: GPL-2.0-or-later
"""What a console says is found under its right name, once, whatever stands around it."""

from __future__ import annotations

import pytest
from splat_logs import BAR, CUT, END, FATAL, arm64, log, oops, regs, trace, warn, who

from pinrace.judge.splats import deaf, find, load_rules
from pinrace.values import Splat


def only(text: str) -> Splat:
    (found,) = find(text)
    return found


def stack(*functions: str) -> list[str]:
    return [*who(), *trace("dump_stack_lvl", *functions)]


HELD = [
    "2 locks held by qed/217:",
    " #0: ffff888003c59148 (&q->lock){+.+.}-{4:4}, at: qed_outer+0x4ab/0x7c0",
    " #1: ffffffff83c2c9a8 (qed_mutex){+.+.}-{3:3}, at: qed_middle+0x1f/0x90",
]

# What each is called, and the function that its fingerprint has to begin with.
ONE = {
    "gpf of 6.1": (
        ["general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP NOPTI",
         *who(), *regs("qed_walk"), *trace("qed_walk", "qed_open"), END],
        "oops", "qed_walk",
    ),
    **{
        f"{name} of 6.1": (
            [f"{name}: 0000 [#1] PREEMPT SMP NOPTI", *who(), *regs("qed_walk"),
             *trace("qed_open"), END],
            "oops", "qed_walk",
        )
        for name in (
            "divide error", "stack segment", "int3", "invalid opcode", "bounds",
            "alignment check", "double fault", "machine check", "invalid TSS",
            "segment not present", "control protection fault", "traps: divide error",
        )
    },
    "gpf of 7.3": (
        ["Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
         "KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]",
         *who(), *regs("qed_walk"), *trace("qed_open"), END],
        "oops", "qed_walk",
    ),
    "executes data": (
        ["kernel tried to execute NX-protected page - exploit attempt? (uid: 0)",
         *oops("qed_jump", head="BUG: unable to handle page fault for address: ffff888004a1c000")],
        "oops", "qed_jump",
    ),
    "guard page": (
        ["BUG: TASK stack guard page was hit at 00000000a1b2c3d4 (stack is 1..2)",
         "Oops: stack guard page: 0000 [#1] SMP", *who(), *regs("qed_recurse"),
         *trace("qed_recurse", "qed_recurse", "qed_open"), END, FATAL],
        "oops", "qed_recurse",
    ),
    "stack end": (
        ["Kernel panic - not syncing: corrupted stack end detected inside scheduler",
         *stack("panic", "__schedule", "schedule", "qed_deep")],
        "panic", "qed_deep",
    ),
    "arm64 internal error": (
        arm64("qed_read", "qed_open",
              head="Internal error: synchronous external abort: 0000000096000410 [#1]  SMP"),
        "oops", "qed_read",
    ),
    "arm64 undefined": (
        arm64("qed_read", head="Internal error: Oops - Undefined instruction: 0000 [#1]  SMP"),
        "oops", "qed_read",
    ),
    "arm64 bad mode": (
        ["Bad mode in Synchronous Abort handler detected on CPU0, code 0x86000005 -- IABT",
         *arm64("qed_read", head="Internal error: Oops - bad mode: 0 [#1] SMP")],
        "oops", "qed_read",
    ),
    "arm64 serror": (
        ["SError Interrupt on CPU1, code 0x00000000bf000002 -- SError",
         *arm64("qed_read", head="CPU: 1 PID: 217 Comm: qed Not tainted"),
         "Kernel panic - not syncing: Asynchronous SError Interrupt"],
        "oops", "qed_read",
    ),
    "arm64 unhandled": (
        ["Unhandled fault: alignment fault (0x96000021) at 0xffff800083547b61",
         *arm64("qed_read", head="Internal error: : 96000021 [#1] SMP")],
        "oops", "qed_read",
    ),
    "arm64 stack": (
        ["Insufficient stack space to handle exception!",
         "ESR: 0x0000000096000047 -- DABT (current EL)",
         *arm64("qed_recurse", head="Task stack:     [0xffff800083540000..0xffff800083544000]"),
         "Kernel panic - not syncing: kernel stack overflow"],
        "oops", "qed_recurse",
    ),
    "kasan": (
        [BAR, "BUG: KASAN: slab-use-after-free in qed_get+0x42/0x100",
         "Read of size 8 at addr ffff888004a1c010 by task qed/217", "",
         *stack("print_report", "kasan_report", "qed_get", "qed_open"), "",
         "Allocated by task 1:", " kasan_save_stack+0x30/0x50", " qed_new+0x1/0x2", BAR],
        "kasan", "qed_get",
    ),
    "kasan double free": (
        [BAR, "BUG: KASAN: double-free in qed_put+0x42/0x100",
         "Free of addr ffff888004a1c010 by task qed/217", "",
         *stack("print_report", "kasan_report_invalid_free", "kfree", "qed_put"), BAR],
        "kasan", "qed_put",
    ),
    "kasan percpu": (
        [BAR, "BUG: KASAN: vmalloc-out-of-bounds in qed_count+0x42/0x100",
         "Write of size 8 at addr ffffe8ffffc12345 by task qed/217", "",
         *stack("kasan_report", "qed_count"), BAR],
        "kasan", "qed_count",
    ),
    "kfence": (
        [BAR, "BUG: KFENCE: out-of-bounds read in qed_peek+0xa6/0x234", "",
         "Out-of-bounds read at 0x00000000a9b1 (1B left of kfence-#22):",
         " qed_peek+0xa6/0x234", " qed_open+0x21/0x70", "",
         "kfence-#22: 0x0000a-0x0000b, size=32, cache=kmalloc-32", "",
         "allocated by task 217 on cpu 0 at 20.1s:", " qed_new+0x1/0x2", "", *who(), BAR],
        "kfence", "qed_peek",
    ),
    "kmsan": (
        [BAR, "BUG: KMSAN: uninit-value in qed_hash+0x1239/0x1960", " qed_hash+0x1239/0x1960",
         " qed_open+0x7d/0xf0", "", "Uninit was created at:", " qed_new+0x1/0x2", "", *who(), BAR],
        "kmsan", "qed_hash",
    ),
    "kcsan": (
        [BAR, "BUG: KCSAN: data-race in qed_get / qed_put", "",
         "write to 0xffff88801e61aa60 of 8 bytes by task 211 on cpu 1:", " qed_put+0x8/0xf0", "",
         "read to 0xffff88801e61aa60 of 8 bytes by task 212 on cpu 0:", " qed_get+0x8/0xf0", "",
         "Reported by Kernel Concurrency Sanitizer on:", *who(), BAR],
        "kcsan", "qed_get",
    ),
    "kmemleak": (
        ["kmemleak: unreferenced object 0xffff888004a1c010 (size 64):",
         'kmemleak:   comm "qed", pid 217, jiffies 4294901234',
         "kmemleak:   backtrace (crc d2d0):", "kmemleak:     __kmalloc_noprof+0x2a/0x60",
         "kmemleak:     qed_new+0x2a/0x60", "kmemleak:     qed_open+0x18c/0x300"],
        "kmemleak", "qed_new",
    ),
    "kmemleak phys": (
        ["kmemleak: unreferenced object (phys) 0x1f1d0000 (size 4096):",
         "kmemleak:   backtrace (crc 0):", "kmemleak:     memblock_alloc_range_nid+0x4c1/0x8b0",
         "kmemleak:     qed_early+0x2a/0x60"],
        "kmemleak", "memblock_alloc_range_nid",
    ),
    "slub": (
        [BAR, "BUG kmalloc-64 (Not tainted): Right Redzone overwritten", "-" * 77, "",
         "0xffff888004a1c040-0xffff888004a1c043 @offset=64. First byte 0x1 instead of 0xcc",
         "Allocated in qed_new+0x2a/0x60 age=12 cpu=1 pid=217", " qed_new+0x2a/0x60",
         "Slab 0xffffea0000128700 objects=21 used=3 fp=0x0 flags=0x200(workingset)",
         *stack("check_bytes_and_report", "check_object", "kfree", "qed_put")],
        "slab", "qed_new",
    ),
    "page": (
        ["BUG: Bad page state in process qed  pfn:04a1c",
         "page: refcount:-1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x4a1c",
         *stack("bad_page", "free_unref_page_prepare", "qed_put")],
        "bad-page", "qed_put",
    ),
    "rss": (
        ["BUG: Bad rss-counter state mm:00000000a1b2c3d4 type:MM_ANONPAGES val:3"],
        "bad-page", "",
    ),
    "warn": (warn("qed_check", "qed_open"), "warn", "qed_check"),
    "warn of 6.12": (
        warn("qed_check", head="WARNING: CPU: 1 PID: 217 at fs/qed.c:58 qed_check+0x5e/0x90"),
        "warn", "qed_check",
    ),
    "warn with its condition": (
        warn("qed_check", head="WARNING: [q->n < 0] fs/q.c:58 at qed_check+0x5e/0x90, CPU#1: q/1"),
        "warn", "qed_check",
    ),
    "warn without a symbol": (
        [CUT, "WARNING: fs/qed.c:58 at 0xffffffffc03a51b2, CPU#1: qed/217", *who(),
         "RIP: 0010:0xffffffffc03a51b2", *trace("qed_exit"), END],
        "warn", "qed_exit",
    ),
    "refcount": (
        warn("refcount_warn_saturate", "qed_put", words="refcount_t: underflow; use-after-free."),
        "refcount", "qed_put",
    ),
    "list_add": (
        [CUT, "list_add corruption. next->prev should be prev (ffff), but was dead. (next=1).",
         "kernel BUG at lib/list_debug.c:29!", "Oops: invalid opcode: 0000 [#1] SMP", *who(),
         *regs("__list_add_valid_or_report"), *trace("qed_queue", "qed_open"), END],
        "list", "qed_queue",
    ),
    "list_add double add": (
        warn("__list_add_valid_or_report", "qed_queue",
             words="list_add double add: new=ffff888004a1c010, prev=ffff888004a1c010, next=1."),
        "list", "qed_queue",
    ),
    "list_del comma": (
        warn("__list_del_entry_valid_or_report", "qed_pop",
             words="list_del corruption, ffff888004a1c010->next is NULL"),
        "list", "qed_pop",
    ),
    "odebug": (
        warn("debug_print_object", "__debug_check_no_obj_freed", "kfree", "qed_free",
             words="ODEBUG: free active (active state 0) object: ffff8880 object type: timer_list "
                   "hint: qed_expire+0x0/0x40"),
        "odebug", "qed_free",
    ),
    "fortify": (
        warn("__fortify_report", "__fortify_panic", "qed_copy",
             words="memcpy: detected buffer overflow: 12 byte write of buffer size 8"),
        "fortify", "qed_copy",
    ),
    "usercopy": (
        ["usercopy: Kernel memory exposure attempt detected from SLUB object 'kmalloc-64' "
         "(offset 0, size 65)!", CUT, "kernel BUG at mm/usercopy.c:102!",
         "Oops: invalid opcode: 0000 [#1] SMP", *who(), *regs("usercopy_abort"),
         *trace("__check_heap_object", "__check_object_size", "qed_read"), END],
        "usercopy", "qed_read",
    ),
    "circular": (
        ["=" * 54, "WARNING: possible circular locking dependency detected",
         "7.3.4 #1 Not tainted", "-" * 54, "qed/217 is trying to acquire lock:",
         "ffff888003c59148 (&a->lock){+.+.}-{4:4}, at: qed_two+0x1f/0x90", "",
         "the existing dependency chain (in reverse order) is:", "",
         "-> #1 (&b->lock){+.+.}-{4:4}:", "       __mutex_lock+0x1e/0xa0",
         "       qed_one+0x1f/0x90", "", *HELD, "", "stack backtrace:",
         *stack("print_circular_bug", "check_noncircular", "__lock_acquire", "lock_acquire",
                "__mutex_lock", "qed_two", "qed_open")],
        "lockdep", "qed_two",
    ),
    **{
        title: (
            ["=" * 28, title, "7.3.4 #1 Not tainted", *HELD, "", "stack backtrace:",
             *stack("__lock_acquire", "lock_acquire", "_raw_spin_lock", "qed_two")],
            rule, "qed_two",
        )
        for title, rule in (
            ("WARNING: possible recursive locking detected", "lockdep"),
            ("WARNING: inconsistent lock state", "lockdep"),
            ("WARNING: held lock freed!", "lockdep"),
            ("WARNING: bad unlock balance detected!", "lockdep"),
            ("WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected", "lockdep"),
            ("WARNING: possible irq lock inversion dependency detected", "lockdep"),
            ("WARNING: Nested lock was not taken", "lockdep"),
            ("WARNING: qed/217 still has locks held!", "lockdep"),
            ("[ BUG: Invalid wait context ]", "lockdep"),
            ("WARNING: suspicious RCU usage", "rcu-usage"),
        )
    },
    "static key": (
        ["INFO: trying to register non-static key.", "the code is fine but needs annotation",
         *stack("register_lock_class", "__lock_acquire", "_raw_spin_lock", "qed_two")],
        "lockdep", "qed_two",
    ),
    "sleeps": (
        ["BUG: sleeping function called from invalid context at kernel/locking/mutex.c:609",
         "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 88, name: qed", *HELD,
         "Preemption disabled at:", "[<ffffffff8111c6a1>] qed_outer+0x1f/0x40",
         "hardirqs last  enabled at (99): [<ffffffff82a1c8d1>] qed_enable+0x28/0x50",
         *stack("__might_resched", "__mutex_lock", "qed_flush", "qed_sync")],
        "atomic-sleep", "qed_flush",
    ),
    "schedules": (
        ["BUG: scheduling while atomic: qed/217/0x00000002", "Modules linked in:",
         "Preemption disabled at:", "[<0000000000000000>] 0x0",
         *stack("__schedule_bug", "__schedule", "schedule", "schedule_timeout", "msleep",
                "qed_wait")],
        "atomic-sleep", "qed_wait",
    ),
    "idle": (
        ["bad: scheduling from the idle thread!",
         *stack("dequeue_task_idle", "__schedule", "schedule", "qed_wait")],
        "atomic-sleep", "dequeue_task_idle",
    ),
    "ubsan": (
        [CUT, "UBSAN: array-index-out-of-bounds in ../fs/qed/tree.c:58:12",
         "index 12 is out of range for type 'int [8]'",
         *stack("ubsan_epilogue", "__ubsan_handle_out_of_bounds", "qed_index"),
         "---[ end trace ]---"],
        "ubsan", "qed_index",
    ),
    "posix lock": (
        ["Leaked POSIX lock on dev=0x0:0x1 ino=0x2 fl_owner=00000000a1b2 fl_flags=0x1"],
        "leak", "",
    ),
    "workqueue leak": (
        ["BUG: workqueue leaked atomic, lock or RCU: kworker/1:2[88]", "     last function: q",
         *stack("process_one_work", "worker_thread")],
        "leak", "",
    ),
    "busy inodes": (["VFS: Busy inodes after unmount of qed0 (qedfs)"], "leak", ""),
    "panic": (
        ["Kernel panic - not syncing: qed: no way on", *stack("vpanic", "panic", "qed_give_up")],
        "panic", "qed_give_up",
    ),
    "hung task": (
        ["INFO: task qed:217 blocked for more than 122 seconds.", "      Not tainted 7.3.4 #1",
         '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
         "task:qed state:D stack:0 pid:217 tgid:217 ppid:1 task_flags:0x400040 flags:0x00080002",
         *trace("__schedule", "schedule", "rwsem_down_write_slowpath", "down_write", "qed_lock"),
         "", "Showing all locks held in the system:", *HELD],
        "hung-task", "qed_lock",
    ),
    "csd lock": (
        ["smp: csd: Detected non-responsive CSD lock (#1) on CPU#1, waiting 5000000032 ns for "
         "CPU#00 qed_ipi+0x0/0x10(0x0).", "smp: \tcsd: CSD lock (#1) unresponsive.",
         "Sending NMI from CPU 1 to CPUs 0:", "NMI backtrace for cpu 0", *who(0),
         *regs("qed_spin"), *trace("qed_open"), *who(1),
         *trace("dump_stack_lvl", "__csd_lock_wait", "smp_call_function_many_cond", "qed_kick")],
        "csd-lock", "qed_spin",
    ),
    "irq": (
        ['irq 11: nobody cared (try booting with the "irqpoll" option)', *who(),
         "Call Trace:", " <IRQ>", " dump_stack_lvl+0x2b/0x70", " __report_bad_irq+0x30/0xc0",
         " note_interrupt+0x2a0/0x2f0", " handle_irq_event+0x60/0x70",
         " __common_interrupt+0x44/0xa0", " </IRQ>", " <TASK>", " asm_common_interrupt+0x2/0x4",
         " qed_bystander+0x2/0x4", " </TASK>", "handlers:", "[<00000000a1b2c3d4>] qed_interrupt",
         "Disabling IRQ #11"],
        "irq", "",
    ),
    "netdev": (
        ["unregister_netdevice: waiting for qed0 to become free. Usage count = 3"], "netdev", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "rule", "first"), ONE.values(), ids=ONE)
def test_one_report(parts: list[str], rule: str, first: str) -> None:
    for text in (log(parts), log(parts, caller="T217"), log(parts).replace("\n", "\r\n")):
        found = [s for s in find(text) if load_rules().severity(s.rule) != "blind"]
        assert [s.rule for s in found] == [rule], [s.title for s in found]
        assert load_rules().counts(found[0])
        where = found[0].fingerprint.partition(": ")[2]
        assert where.startswith(first), found[0].fingerprint
        assert found[0].title.split()[0].strip("[") in text.split("\n")[found[0].line - 1]


@pytest.mark.parametrize(("parts", "rule", "first"), ONE.values(), ids=ONE)
def test_another_function_is_another_bug(parts: list[str], rule: str, first: str) -> None:
    if not first.startswith("qed_"):
        return
    other = [line.replace(f"{first}+", "blue_other+") for line in parts]
    one, two = find(log(parts)), find(log(other))
    assert {s.fingerprint for s in one}.isdisjoint(
        s.fingerprint for s in two if load_rules().counts(s)
    )


QUIET = {
    "a program's words": ["raw:BUG: expected 3 replies, got 2"],
    "a program's panic": ["raw:Kernel panic - not syncing: only a test"],
    "a quoted log": ["raw:# last boot: [   12.345678] Kernel panic - not syncing: qed"],
    "a quoted log in quotation marks": ['raw:log="[   12.345678] BUG: KASAN: qed"'],
    "a quoted log in a kernel's line": ["qed: pstore had [   12.345678] BUG: KASAN: qed"],
    "a fault that was asked for": [
        "FAULT_INJECTION: forcing a failure.", *who(), *trace("dump_stack_lvl", "should_fail_ex"),
    ],
    "memory that ran out": [
        "qed invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        *who(), *trace("dump_stack_lvl", "dump_header", "out_of_memory"),
    ],
    "sysrq": ["sysrq: Show backtrace of all active CPUs", "NMI backtrace for cpu 1",
              *who(), *trace("dump_stack_lvl", "sysrq_showallcpus")],
}  # fmt: skip


@pytest.mark.parametrize("parts", QUIET.values(), ids=QUIET)
def test_no_report(parts: list[str]) -> None:
    assert find(log(parts)) == ()


def test_a_stack_that_nothing_explains_is_a_note() -> None:
    found = only(log("qed: cannot register twice", *stack("qed_dup", "qed_register")))
    assert (found.rule, load_rules().severity(found.rule)) == ("trace", "note")
    assert "qed: cannot register twice" in found.title
    assert "qed_dup < qed_register" in found.fingerprint
    assert not load_rules().counts(found)


def test_a_bare_cut_here_counts() -> None:
    found = only(log(CUT, "qed: something the rules do not know"))
    assert load_rules().counts(found)


def test_two_lines_in_one() -> None:
    glued = (
        "raw:[   20.000000] qed: ring at 0x1000[   20.100000] BUG: KASAN: bad in qed_get+0x1/0x2"
    )
    found = only(log(glued, "Read of size 8 at addr ffff888004a1c010 by task qed/217",
                     *stack("qed_get")))  # fmt: skip
    assert (found.rule, found.title) == ("kasan", "BUG: KASAN: bad in qed_get")


def test_behind_half_a_line_of_a_program() -> None:
    half = "raw:half a line [   20.000000] BUG: KASAN: bad in qed_get+0x1/0x2"
    assert only(log(half, "Read of size 8 at addr ffff888004a1c010", *stack("qed_get")))


@pytest.mark.parametrize(
    ("line", "detector"),
    [
        ("raw:** 14 printk messages dropped **", "console"),
        ("Disabling lock debugging due to kernel taint", "lockdep"),
        ("BUG: MAX_LOCKDEP_ENTRIES too low!", "lockdep"),
        ("BUG: MAX_STACK_TRACE_ENTRIES too low!", "lockdep"),
        ("INFO: lockdep is turned off.", "lockdep"),
        ("kmemleak: Kernel memory leak detector disabled", "kmemleak"),
        ("ODEBUG: Out of memory. ODEBUG disabled", "odebug"),
        ("kfence: kfence_init failed", "kfence"),
        ("Future hung task reports are suppressed, see sysctl", "hung-task"),
        ("DMA-API: debugging out of memory - disabling", "dma-api"),
    ],
)  # fmt: skip
def test_a_detector_that_gave_up(line: str, detector: str) -> None:
    found = only(log(line))
    assert load_rules().severity(found.rule) == "blind"
    assert deaf([found]) == {detector: found}
    blind, real = find(log(line, *oops("qed_replay"), FATAL))
    assert (blind, real.rule, load_rules().counts(real)) == (found, "oops", True)


def test_reports_that_leave_their_detector_off() -> None:
    kasan = [BAR, "BUG: KASAN: slab-use-after-free in qed_get+0x42/0x100", *stack("qed_get"), BAR]
    assert set(deaf(find(log(kasan)))) == {"kasan"}
    line = "Kernel command line: console=ttyS0 kasan_multi_shot"
    assert deaf(find(log(line, kasan))) == {}
    lockdep = ONE["circular"][0]
    assert set(deaf(find(log(lockdep)))) == {"lockdep"}


def test_the_timer_check_is_the_hosts() -> None:
    line = "Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug"
    found = only(log(line, *stack("panic", "setup_IO_APIC")))
    assert load_rules().severity(found.rule) == "host"
    assert not load_rules().counts(found)


def test_setup_is_wrong_only_where_init_begins() -> None:
    line = "Starting init: /bin/qed exists but couldn't execute it (error -2)"
    assert load_rules().severity(only(log(line)).rule) == "setup"
    assert find(log("qed: loaded", line)) == ()
