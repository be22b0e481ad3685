# SPDX-License-Identifier: GPL-2.0-or-later
"""The same bug has one fingerprint, two bugs have two, and a report is one report."""

from __future__ import annotations

import pytest
from splat_logs import BAR, CUT, END, FATAL, arm64, log, merged, oops, regs, trace, warn, who

from pinrace.judge.splats import find, load_rules
from pinrace.values import Splat


def reports(text: str) -> list[Splat]:
    return [s for s in find(text) if load_rules().counts(s)]


def rules_of(text: str) -> list[str]:
    return [s.rule for s in reports(text)]


def fingerprint(text: str) -> str:
    (found,) = reports(text)
    return found.fingerprint


def stall(function: str, *, starved: bool = True, gap: str = "", cpu: int = 1) -> list[str]:
    """A CPU that spins, and the thread that waits for it."""
    kthread = [
        "rcu: rcu_preempt kthread starved for 20991 jiffies! g1205 f0x0 RCU_GP_WAIT_FQS(5) "
        "->state=0x0 ->cpu=1",
        "rcu: \tUnless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.",
        "rcu: RCU grace-period kthread stack dump:",
        "task:rcu_preempt     state:R  running task     stack:14000 pid:16    tgid:16    ppid:2",
        *trace("__schedule", "schedule", "schedule_timeout", "rcu_gp_fqs_loop", "rcu_gp_kthread",
               "kthread", "ret_from_fork", syscall=False),
        "rcu: Stack dump where RCU GP kthread last ran:",
    ]  # fmt: skip
    return [
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        f"rcu: \t{cpu}-...!: (1 GPs behind) idle=0a3c/1/0x4000000000000000 softirq=911/911 fqs=0",
        "rcu: \t(detected by 0, t=21002 jiffies, g=1205, q=88 ncpus=2)",
        *(kthread if starved else ()),
        f"Sending NMI from CPU 0 to CPUs {cpu}:",
        *([gap] if gap else ()),
        f"NMI backtrace for cpu {cpu}",
        *who(cpu),
        *regs(function),
        *trace(function, "qed_open"),
    ]


def self_stall(function: str) -> list[str]:
    """A CPU that finds itself, in its timer's interrupt."""
    irq = ("dump_stack_lvl", "rcu_dump_cpu_stacks", "rcu_sched_clock_irq", "update_process_times",
           "tick_nohz_handler", "__hrtimer_run_queues", "hrtimer_interrupt",
           "__sysvec_apic_timer_interrupt", "sysvec_apic_timer_interrupt")  # fmt: skip
    return [
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "rcu: \t1-....: (21003 ticks this GP) idle=0a3c/1/0x4000000000000000 softirq=911/911",
        *who(1),
        "Call Trace:",
        " <IRQ>",
        *(f" {name}+0x1/0x2" for name in irq),
        " </IRQ>",
        " <TASK>",
        " asm_sysvec_apic_timer_interrupt+0x1f/0x30",
        f"RIP: 0010:{function}+0x8/0x10",
        "Code: 48 89 df e8",
        "RSP: 0018:ffffc90000a3bd18 EFLAGS: 00000246",
        f" {function}+0x8/0x10",
        " qed_open+0x1/0x2",
        " do_syscall_64+0x1/0x2",
        " </TASK>",
    ]


def lockup(function: str, stamp: str = "finish_task_switch", pid: int = 217) -> list[str]:
    return [
        f"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [qed:{pid}]",
        "Modules linked in:",
        "irq event stamp: 9001",
        f"hardirqs last  enabled at (9000): [<ffffffff82a1c8d1>] {stamp}+0x28/0x50",
        *who(1, pid),
        *regs(function),
        *trace(function, "qed_open"),
    ]


def workqueue(function: str) -> list[str]:
    return [
        "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 37s!",
        "Showing busy workqueues and worker pools:",
        "workqueue events: flags=0x0",
        "  pwq 6: cpus=1 node=0 flags=0x0 nice=0 active=2 refcnt=3",
        f"    in-flight: 88:{function}",
        "    pending: qed_other_work",
    ]


def sleeper(function: str) -> list[str]:
    return [
        "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:609",
        "1 lock held by kworker/1:2/88:",
        "  #0: ffff8880 ((wq_completion)events){+.+.}-{0:0}, at: process_one_work+0x4ab/0x7c0",
        "hardirqs last  enabled at (99): [<ffffffff82a1c8d1>] _raw_spin_unlock_irq+0x28/0x50",
        *who(),
        *trace("dump_stack_lvl", "__might_resched", "__mutex_lock", function, "qed_work"),
    ]


def race(first: str, second: str) -> list[str]:
    return [BAR, "BUG: KCSAN: data-race in qed_a / qed_b", "",
            "write to 0xffff88801e61aa60 of 8 bytes by task 211 on cpu 1:", f" {first}+0x8/0xf0",
            "", "read to 0xffff88801e61aa60 of 8 bytes by interrupt on cpu 0:",
            f" {second}+0x8/0xf0", " asm_sysvec_apic_timer_interrupt+0x1/0x2", " qed_any+0x1/0x2",
            "", BAR]  # fmt: skip


KMALLOC = ("__alloc_frozen_pages_noprof", "__alloc_pages_noprof", "___kmalloc_large_node",
           "__kmalloc_large_node_noprof", "__kmalloc_noprof")  # fmt: skip
CARRIERS = {
    "kmalloc": KMALLOC,
    "kvmalloc": ("__vmalloc_node_range_noprof", "__kvmalloc_node_noprof"),
    "slab": ("___slab_alloc", "__slab_alloc", "kmem_cache_alloc_noprof"),
    "free": ("free_large_kmalloc", "kfree"),
    "percpu": ("pcpu_alloc_noprof", "__percpu_counter_init_many"),
    "rwsem": ("rwsem_down_write_slowpath", "down_write"),
    "mutex": ("__mutex_lock", "mutex_lock_nested"),
    "spinlock": ("native_queued_spin_lock_slowpath", "do_raw_spin_lock", "_raw_spin_lock_irqsave"),
    "completion": ("schedule_timeout", "__wait_for_common", "wait_for_completion"),
    "rcu": ("wait_rcu_gp", "synchronize_rcu"),
    "refcount": ("refcount_warn_saturate",),
    "list": ("__list_del_entry_valid_or_report",),
    "string": ("memcpy", "__asan_memcpy"),
    "user": ("__check_object_size", "_copy_to_user"),
}


@pytest.mark.parametrize("carriers", CARRIERS.values(), ids=CARRIERS)
def test_what_carries_a_report_is_not_the_bug(carriers: tuple[str, ...]) -> None:
    one, two = (fingerprint(log(warn(*carriers, f))) for f in ("qed_set", "qed_read"))
    assert one != two
    assert "qed_set" in one
    assert not any(name in one for name in carriers if name != "__percpu_counter_init_many")


DIFFERENT: dict[str, tuple[list[str], ...]] = {
    "starved thread": (stall("qed_spin"), stall("qed_loop")),
    "stalled CPU": (stall("qed_spin", starved=False), stall("qed_loop", starved=False)),
    "self-detected": (self_stall("qed_spin"), self_stall("qed_loop")),
    "lockup": (lockup("qed_spin"), lockup("qed_loop")),
    "workqueue": (workqueue("qed_work"), workqueue("qed_flush_work")),
    "sleeper": (sleeper("qed_flush"), sleeper("qed_resize")),
    "gpf": (
        [*oops("qed_walk", head="general protection fault: 0000 [#1] SMP"), FATAL],
        [*oops("qed_scan", head="general protection fault: 0000 [#1] SMP"), FATAL],
    ),
    "words of a WARN": (
        warn("qed_check", words="qed: 3 users left"),
        warn("qed_check", words="qed: table is empty"),
    ),
    "condition of a WARN": (
        warn("qed_check", head="WARNING: [a] fs/qed.c:5 at qed_check+0x1/0x2, CPU#1: qed/217"),
        warn("qed_check", head="WARNING: [b] fs/qed.c:9 at qed_check+0x1/0x2, CPU#1: qed/217"),
    ),
    "what KASAN says": (
        [BAR, "BUG: KASAN: slab-out-of-bounds in qed_get+0x1/0x2", *who(), *trace("qed_get"), BAR],
        [BAR, "BUG: KASAN: slab-use-after-free in qed_get+0x1/0x2", *who(), *trace("qed_get"), BAR],
    ),
    "what a worker did last": tuple(
        ["BUG: workqueue leaked atomic, lock or RCU: kworker/1:2[88]",
         f"     last function: {function}", *who(),
         *trace("dump_stack_lvl", "process_one_work", "worker_thread", syscall=False)]
        for function in ("qed_work", "qed_flush_work")
    ),
    "the lock that is left": tuple(
        ["WARNING: lock held when returning to user space!", "7.3.4 #1 Not tainted",
         "qed/217 is leaving the kernel with locks still held!", "1 lock held by qed/217:",
         f" #0: ffffffff83c2c9a8 (qed_mutex){{+.+.}}-{{3:3}}, at: {function}+0x1f/0x90"]
        for function in ("qed_lock", "qed_begin")
    ),
    "the far end of a race": (race("qed_a", "qed_b"), race("qed_a", "qed_c")),
    "behind what is common": (
        warn("vfs_write", "ksys_write", "__fput", "task_work_run", "cleanup_mnt", "qed_one"),
        warn("vfs_write", "ksys_write", "__fput", "task_work_run", "cleanup_mnt", "qed_two"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "two"), DIFFERENT.values(), ids=DIFFERENT)
def test_two_bugs(one: list[str], two: list[str]) -> None:
    assert fingerprint(log(one)) != fingerprint(log(two))


SAME = {
    "what was enabled last": (lockup("qed_spin"), lockup("qed_spin", "net_rx_action", 9)),
    "panic not reached": (oops("qed_copy"), [*oops("qed_copy"), FATAL]),
    "with and without the starved thread": (stall("qed_spin"), stall("qed_spin", starved=False)),
    "ten silent seconds": (stall("qed_spin"), stall("qed_spin", gap="wait:10")),
    "other CPU": (stall("qed_spin"), stall("qed_spin", cpu=7)),
    "order of a race": (race("qed_a", "qed_b"), race("qed_b", "qed_a")),
    "numbers in the words": (
        warn("qed_check", words="qed: 3 users of ffff888004a1c010 left"),
        warn("qed_check", words="qed: 17 users of ffff888004a1d020 left"),
    ),
    "line of a WARN": (
        warn("qed_check", head="WARNING: fs/qed.c:5 at qed_check+0x1/0x2, CPU#1: qed/217"),
        warn("qed_check", head="WARNING: fs/qed.c:9 at qed_check+0x5/0x9, CPU#0: qed/8", cpu=0),
    ),
    "clones": (warn("qed_check.isra.0", "qed_open"), warn("qed_check.part.1.cold", "qed_open")),
    "a call that does not return": (
        arm64("qed_read", "qed_open", head="Internal error: Oops: 96000004 [#1] SMP"),
        [
            f" qed_neighbour+{'0x0'}/0x50" if "qed_gone" in line else line
            for line in arm64(
                "qed_read", "qed_gone", "qed_open", head="Internal error: Oops: 96000004 [#1] SMP"
            )
        ],
    ),
}


@pytest.mark.parametrize(("one", "two"), SAME.values(), ids=SAME)
def test_one_bug(one: list[str], two: list[str]) -> None:
    assert fingerprint(log(one)) == fingerprint(log(two))


def test_the_stack_of_the_cpu_in_question() -> None:
    for text in (log(stall("qed_spin")), log(self_stall("qed_spin")), log(lockup("qed_spin"))):
        assert fingerprint(text).partition(": ")[2] == "qed_spin < qed_open"


def test_a_hard_lockup_seen_by_another_cpu() -> None:
    seen = ["watchdog: Watchdog detected hard LOCKUP on cpu 1", "Modules linked in:",
            "Sending NMI from CPU 0 to CPUs 1:"]  # fmt: skip
    other = ["NMI backtrace for cpu 1", *who(1), *regs("qed_spin"), *trace("qed_open")]
    assert "qed_spin" in fingerprint(log(seen, other))
    lines = log(seen, caller="C0") + log(other, caller="T9").split("\n", 2)[2]
    assert "qed_spin" in fingerprint(lines)


def test_an_interrupt_is_not_what_it_broke_into() -> None:
    def timer(task: str) -> str:
        frames = ["Call Trace:", " <IRQ>", " qed_expire+0x1/0x2", " call_timer_fn+0x1/0x2",
                  " </IRQ>", " <TASK>", " asm_sysvec_apic_timer_interrupt+0x1/0x2",
                  f" {task}+0x1/0x2", " </TASK>", END]  # fmt: skip
        head = "WARNING: fs/qed.c:5 at qed_expire+0x1/0x2, CPU#1: qed/217"
        return log([CUT, head, *who(), *regs("qed_expire"), *frames])

    assert fingerprint(timer("qed_one")) == fingerprint(timer("qed_two"))


JOINED = {
    "an oops of another task behind a warning": (
        [*warn("qed_check"), "wait:0.4", "qed: mounted", *oops("blue_append"), FATAL],
        ["warn", "oops"],
    ),
    "an oops right behind a warning": ([*warn("qed_check"), *oops("blue")], ["warn", "oops"]),
    "a workqueue before a refcount": (
        [*workqueue("qed_work"),
         *warn("refcount_warn_saturate", "qed_put", words="refcount_t: saturated.")],
        ["workqueue-lockup", "refcount"],
    ),
    "panic_on_warn before the stack": (
        [CUT, "WARNING: CPU: 1 PID: 9 at fs/qed.c:5 qed_check+0x1/0x2",
         "Kernel panic - not syncing: panic_on_warn set ...", *who(), "Call Trace:",
         " dump_stack+0x1/0x2", " panic+0x1/0x2", " __warn+0x1/0x2", " report_bug+0x1/0x2",
         " do_error_trap+0x1/0x2", " invalid_op+0x1/0x2", "RIP: 0010:qed_check+0x1/0x2",
         " qed_open+0x1/0x2"],
        ["warn"],
    ),
    "a warning in a warning": (
        [CUT, "WARNING: fs/qed.c:5 at qed_check+0x1/0x2, CPU#1: qed/217", *who(),
         *regs("qed_check"), "Call Trace:", " <TASK>", " qed_check+0x1/0x2",
         *warn("blue_unwind"), " qed_open+0x1/0x2", " </TASK>", END],
        ["warn", "warn"],
    ),
    "two in a row": ([*warn("qed_check"), *warn("blue_check")], ["warn", "warn"]),
    "the same one twice": ([*warn("qed_check"), "wait:5", *warn("qed_check")], ["warn"]),
    "what an unwinder says in a stack": (
        [CUT, "WARNING: fs/qed.c:5 at qed_check+0x1/0x2, CPU#1: qed/217", *who(),
         *regs("qed_check"), "Call Trace:", " <TASK>", " qed_check+0x1/0x2",
         "WARNING: stack recursion on stack type 4", " </TASK>", END],
        ["warn"],
    ),
    "a taint in an oops": (
        [*oops("qed_walk")[:-1], "Disabling lock debugging due to kernel taint", END, FATAL],
        ["oops"],
    ),
    "a panic of its own much later": (
        [*warn("qed_check"), "wait:60", "Kernel panic - not syncing: qed gave up", *who(),
         *trace("panic", "qed_give_up")],
        ["warn", "panic"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "want"), JOINED.values(), ids=JOINED)
def test_what_belongs_together(parts: list[str], want: list[str]) -> None:
    assert rules_of(log(parts)) == want
    assert rules_of(log(parts, caller="T217")) == want


def test_a_panic_is_told() -> None:
    assert [s.panicked for s in reports(log(oops("qed_walk"), FATAL))] == [True]
    assert [s.panicked for s in reports(log(oops("qed_walk")))] == [False]
    other = log(oops("qed_walk"), caller="T1") + log([FATAL], caller="C1").split("\n", 2)[2]
    assert [s.panicked for s in reports(other)] == [True]


@pytest.mark.parametrize("callers", [("T217", "T98"), ("T217", "C1"), ("", "")])
@pytest.mark.parametrize("second", [warn("blue_open", "blue_dev", cpu=0), None])
def test_two_cpus_at_once(callers: tuple[str, str], second: list[str] | None) -> None:
    a = warn("qed_check", "qed_tree", "qed_open")
    b = second or [x.replace("CPU#1", "CPU#0") for x in warn("blue_a", "blue_b", "blue_c")]
    b = [line.replace("CPU: 1", "CPU: 0") for line in b]
    one, two = log(a, caller=callers[0]), log(b, caller=callers[1])
    found = {s.fingerprint for s in reports(merged(one, two))}
    assert found == {fingerprint(one), fingerprint(two)}


def test_more_than_are_kept() -> None:
    rules = load_rules()
    many = [line for i in range(rules.kept + 7) for line in warn(f"qed_{'x' * i}y")]
    found = find(log(many, step=0.0001))
    assert len(found) == rules.kept + 1
    assert rules.severity(found[-1].rule) == "blind"
    assert found[-1].title.startswith("7 more reports")


def test_a_flood_of_one_hides_no_other() -> None:
    rules = load_rules()
    flood = warn("qed_check") * (rules.kept + 50)
    assert [s.fingerprint for s in reports(log(flood, warn("blue_check")))] == [
        "warn: qed_check",
        "warn: blue_check",
    ]


def test_reports_without_an_end_do_not_pile_up() -> None:
    """A log of a million such lines is read in one go, which takes days if each waits for all."""
    head = "WARNING: CPU: 0 PID: 1 at fs/qed.c:5 qed_{}+0x1/0x2"
    lines = [head.format(chr(97 + i % 26) * (1 + i // 26 % 20)) for i in range(4_000)]
    assert len(find(log(lines, step=0.000001))) == load_rules().kept + 1


LONG = 1 << 20


@pytest.mark.parametrize(
    "line",
    [
        "a" * LONG,
        "[" + " " * LONG,
        "[    1.000000] WARNING: " + "a" * LONG,
        "[    1.000000] BUG: KASAN: " + "a " * (LONG // 2),
        "[    1.000000] x" * (LONG // 64),
        "[    1.000000] INFO: task " + "a: " * (LONG // 3),
        "[    1.000000] WARNING: [" + "(detected " * (LONG // 10),
        "[    1.000000]  " + "f" * LONG,
    ],
    ids=lambda line: line[:30],
)
def test_a_long_line_ends(line: str) -> None:
    """A rule that is worse than linear takes hours here, so that the test does not end."""
    for splat in find(log(oops("qed_walk")) + line + "\n" + line):
        assert len(splat.text) < 1 << 18
