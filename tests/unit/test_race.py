# SPDX-License-Identifier: GPL-2.0-or-later
"""A race of one's own: its folder, its tokens, what counts as lost, and what a proof amounts to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pinrace.arches import ABIS, get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.outcome import Ending, GuestRun, JobRun
from pinrace.races.preempt import spec
from pinrace.races.preempt.hunt import Hunt, singles
from pinrace.races.preempt.windows import Window
from pinrace.races.race import folder, lab, loss, prove, smaller, tokens, ways
from pinrace.races.race.folder import Race
from pinrace.races.race.loss import Loss
from pinrace.races.race.program import Built
from pinrace.races.race.prove import Proof, Row
from pinrace.values import Verdict

CALM = "Linux version 7.3.4\n[    1.000000] calm\n"


def make(place: Path, text: str = "", **files: str) -> Race:
    """A race in a folder."""
    where = place / "my-race"
    where.mkdir(exist_ok=True)
    (where / "race.toml").write_text(f'about = "a race"\n{text}')
    (where / "race.c").write_text("int main(void) { return 0; }\n")
    for name, content in files.items():
        (where / name.replace("_", ".")).write_text(content)
    return folder.load(where)


def ran(place: Path, *recs: str, console: str = CALM, ending: Ending = Ending.DONE) -> GuestRun:
    """How a guest ended that left these records."""
    path = place / "console.log"
    path.write_text(console)
    job = JobRun("timer-10", status=0, started=True, recs=recs)
    return GuestRun(
        ending, "it ended", (job,), (), (), {}, path, "", 1.0, boot_seconds=1.0, cpu_seconds=1.0
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense = 1", "nonsense"),
        ('kind = "other"', "kind"),
        ('broken = "no.patch"', "no.patch"),
        ('abis = ["vax"]', "vax"),
        ('waits = "soon"', "50ms"),
        ('[[hold]]\nin = "f"\nside = "c"', "side c"),
        ('[[hold]]\nin = "not a function"', "not a function"),
        ('[lost]\nconsole = [""]', "empty line"),
        ('[lost]\ntitles = ["("]', "titles"),
        ('kind = "program"\ngate = true', "gate"),
        ("about = 1", "overwrite"),
    ],
)
def test_what_is_wrong_with_a_race_is_said(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        make(tmp_path, text)
    assert why in str(caught.value)


DIFF = """\
diff --git a/fs/x.c b/fs/x.c
--- a/fs/x.c
+++ b/fs/x.c
@@ -1 +1 @@
-lock();
+ ;
"""


def test_a_plant_may_be_a_diff_without_a_mail(tmp_path: Path) -> None:
    race = make(tmp_path, 'broken = "plant.patch"', plant_patch=DIFF)
    plant = lab.plant_of(race)
    assert plant is not None
    assert plant.name == "my-race"
    (patch,) = plant.patches
    assert "Subject: [PATCH] my-race: plant" in patch.read_text()
    assert patch.read_text().endswith(DIFF)
    assert lab.plant_of(race) == plant


def test_a_plant_that_is_no_patch_is_refused(tmp_path: Path) -> None:
    race = make(tmp_path, 'broken = "plant.patch"', plant_patch="hello\n")
    with pytest.raises(UserError, match="no mailed patch"):
        lab.plant_of(race)


def test_moves_may_lead_to_a_window(tmp_path: Path) -> None:
    text = '[[hold]]\nin = "f"\nside = "a"\nbefore = "b.g,a.h+3"'
    (window,) = make(tmp_path, text).windows("arm")
    hunt = Hunt(window)
    hold = next(singles(hunt, window))
    assert str(hold) == "b.g,a.h+3,a.f,b.done,a.done"
    assert str(hold.at_count(7)) == "b.g,a.h+3,a.f+7,b.done,a.done"
    with pytest.raises(UserError, match="names side c"):
        make(tmp_path, text.replace("b.g", "c.g"))


def test_the_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    race = make(tmp_path, plant_patch="x")
    before = race.digest
    (race.folder / folder.TOKENS).write_text("a token")
    (race.folder / ".race.c.swp").write_text("of an editor")
    assert race.digest == before
    (tmp_path / "elsewhere").mkdir()
    assert make(tmp_path / "elsewhere", plant_patch="x").digest == before
    (race.folder / "race.c").write_text("int main(void) { return 1; }\n")
    assert race.digest != before


def test_a_packed_race_is_the_same_race(tmp_path: Path) -> None:
    race = make(tmp_path, 'waits = "50ms"')
    folder.pack(race, tmp_path / "it.tar", ["ph2:a"])
    with folder.opened(str(tmp_path / "it.tar")) as other:
        assert other.digest == race.digest
        assert other.name == race.name
        assert other.waits == pytest.approx(0.05)
        assert (other.folder / folder.TOKENS).read_text() == "ph2:a\n"


def test_what_is_no_packed_race_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "it.tar"
    path.write_bytes(b"no archive")
    with pytest.raises(UserError), folder.opened(str(path)):
        pass


@pytest.mark.parametrize("name", sorted(p.parent.name for p in folder.RACES.glob("*/race.toml")))
def test_the_kept_races_are_races(name: str) -> None:
    race = folder.load(name)
    assert race.plant
    for abi in race.abis:
        for window in race.windows(abi):
            assert window.runner in race.side_names
    assert race.by_rounds


RACE_LINE = "race rounds=7 kept=6 lost=1 denied=0 broken=0 first_lost=6"
ROUND_LINE = "hold round=6 scenario=race violated=1 what=- a=0 b=0 why=the lock stayed"
KEPT_LINE = "race rounds=10 kept=10 lost=0 denied=0 broken=0 first_lost=-1"
REFCOUNT = """\
[    1.000000] ------------[ cut here ]------------
[    1.000001] refcount_t: addition on 0; use-after-free.
[    1.000002] WARNING: CPU: 1 PID: 9 at lib/refcount.c:25
[    1.000003] ---[ end trace 0000000000000000 ]---
"""


def test_the_programs_check_is_believed(tmp_path: Path) -> None:
    race = make(tmp_path)
    assert loss.judge(race, ran(tmp_path, ROUND_LINE, RACE_LINE)) == Loss("the lock stayed", 6, 7)
    assert loss.judge(race, ran(tmp_path, KEPT_LINE)) == Loss(rounds=10)


def test_the_kernels_words_are_a_loss(tmp_path: Path) -> None:
    race = make(tmp_path, '[lost]\ncheck = false\ntitles = ["^refcount_t"]')
    said = ROUND_LINE.replace("the lock stayed", loss.REPORTED)
    came = loss.judge(race, ran(tmp_path, said, RACE_LINE, console=CALM + REFCOUNT))
    assert came.lost.startswith("refcount_t: addition on 0")
    assert came.first == 6


def test_another_report_is_not_this_race(tmp_path: Path) -> None:
    race = make(tmp_path, '[lost]\ntitles = ["KASAN"]')
    said = ROUND_LINE.replace("the lock stayed", loss.REPORTED)
    came = loss.judge(race, ran(tmp_path, said, RACE_LINE, console=CALM + REFCOUNT))
    assert not came
    assert came.missing


def test_a_line_on_the_console_can_be_a_loss(tmp_path: Path) -> None:
    race = make(tmp_path, '[lost]\nconsole = ["Leaked POSIX lock"]')
    line = "[    2.000000] Leaked POSIX lock on dev=0x0:0x13 ino=0x3\n"
    came = loss.judge(race, ran(tmp_path, KEPT_LINE, console=CALM + line))
    assert came.lost.startswith("Leaked POSIX lock")
    assert not loss.judge(race, ran(tmp_path, KEPT_LINE))


@pytest.mark.parametrize(
    ("recs", "ending", "console"),
    [((), Ending.DONE, CALM), ((), Ending.HANG, CALM), ((KEPT_LINE,), Ending.DONE, "")],
)
def test_silence_is_never_kept(
    recs: tuple[str, ...], ending: Ending, console: str, tmp_path: Path
) -> None:
    came = loss.judge(make(tmp_path), ran(tmp_path, *recs, ending=ending, console=console))
    assert not came
    assert came.missing


def test_a_hang_is_a_loss_where_the_race_says_so(tmp_path: Path) -> None:
    race = make(tmp_path, "[lost]\nhang = true")
    assert loss.judge(race, ran(tmp_path, ending=Ending.HANG))


def test_tokens_of_races_name_the_race(tmp_path: Path) -> None:
    race = make(tmp_path)
    d = "0123456789"
    token = tokens.RaceToken(
        *("arm", "timer-1+523", "debian:7.3", d, "plain", "s7.1.2", "10.0-ab", d, d, d, d),
        race=race.digest,
    )
    assert tokens.parse(str(token)) == token
    tokens.refuse(token, race)
    held = tokens.RaceHoldToken(
        *("arm", "debian:7.3", d, "plain", "10.0-ab", d, d, "my-race"),
        hold="a.fs/locks.c:f+3,b.done,a.done",
        verdict="violated.-.0.0",
        race=race.digest,
    )
    read = tokens.parse(str(held))
    assert isinstance(read, tokens.RaceHoldToken)
    assert str(read.spec) == held.hold
    (race.folder / "race.c").write_text("other")
    with pytest.raises(InfrastructureError):
        tokens.refuse(token, race)
    assert not tokens.is_token("pr1:x")
    with pytest.raises(UserError):
        tokens.parse("pr2:too:short")


@pytest.mark.parametrize("name", ["spin-10", "timer-1+5", "gate-3-60s", "naive-1", "control-1"])
def test_jobs_by_name(name: str, tmp_path: Path) -> None:
    built = Built(make(tmp_path), ABIS["arm"], tmp_path)
    job = built.job(name, 5, 20.0)
    assert job.argv[1] == name.split("-", maxsplit=1)[0]
    assert job.argv[2] == "5"


@pytest.mark.parametrize("name", ["run", "spin", "spin-x", "hold-3"])
def test_other_jobs_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        Built(make(tmp_path), ABIS["arm"], tmp_path).job(name, 5, 20.0)


@pytest.mark.parametrize("last", [3, 4, 9, 40, 3 + 4097])
def test_the_end_of_an_interval(last: int) -> None:
    asked: list[int] = []

    def loses(count: int) -> bool:
        asked.append(count)
        return 3 <= count <= last

    assert smaller.last_of(3, loses) == (last, True)
    assert len(asked) < 40


def test_an_interval_without_an_end_is_said_to_have_none() -> None:
    _, ends = smaller.last_of(0, lambda count: True)
    assert not ends


def test_a_source_line_of_nothing() -> None:
    line = smaller.source_line(Path("/bin/true"), get_arch("x86_64"), 0)
    assert str(line) == "0x0"


def test_three_sides_in_a_hold() -> None:
    hold = spec.single("a", "f", 2, runners="bc")
    assert str(hold) == "a.f+2,b.done,c.done,a.done"
    assert str(spec.single("b", "f", 0, runners="ac")) == "b.f,a.done,c.done,b.done"
    assert spec.parse("c.fs/x.c:f+1,b.done,c.done").moves[0].function == "fs/x.c:f"


LOST = Row("broken", "seeds", "lost in seed 3", True, token="pr2:x", lost=True)  # noqa: S106
KEPT = Row("fixed", "holds", "kept in 9 holds", True)
SEEN = Row("control", "own", "seen", True)
NOTHING = Row("broken", "free", "kept in 9 rounds", None)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((LOST, KEPT, SEEN), Verdict.PASS),
        ((NOTHING, LOST, KEPT, SEEN), Verdict.PASS),
        ((LOST, Row("fixed", "free", "lost in round 9", False, lost=True)), Verdict.FAIL),
        ((NOTHING, KEPT, SEEN), Verdict.INCONCLUSIVE),
        ((LOST, SEEN), Verdict.INCONCLUSIVE),
        ((LOST, KEPT, Row("control", "own", "deaf", False)), Verdict.INCONCLUSIVE),
        ((LOST, Row("fixed", "holds", "never entered", False, miss=True)), Verdict.MISS),
        ((Row("broken", "free", "no guest", False, miss=True), KEPT), Verdict.MISS),
        ((Row("broken", "free", "lost", True, lost=True), KEPT, SEEN), Verdict.INCONCLUSIVE),
        ((), Verdict.INCONCLUSIVE),
    ],
)
def test_what_a_proof_amounts_to(rows: tuple[Row, ...], verdict: Verdict) -> None:
    assert prove.judge(Proof("arm", list(rows)), with_fix=True)[0] is verdict


def swept(**facts: object) -> Hunt:
    window = Window(name="w", scenario="my-race", window="f", side="b")
    return Hunt(window, **{"tried": 3, "complete": True, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hunt", "why"),
    [
        (swept(), ""),
        (swept(given_up=Counter({"blocked in mutex_spin_on_owner": 3})), ""),
        (swept(given_up=Counter({"blocked in arch_cpu_idle": 3})), "arch_cpu_idle"),
        (swept(given_up=Counter({"blocked in arch_cpu_idle": 2})), ""),
        (swept(tried=0), "never entered by side b"),
        (swept(tried=0, strange=Counter({"f": 4})), "4 times on a stack"),
        (swept(complete=False), "not swept to its end"),
        (swept(lost=["no guest"]), "no guest"),
    ],
)
def test_what_sweeps_are_worth(hunt: Hunt, why: str) -> None:
    said = ways.missing_of([hunt])
    assert (why in said) if why else not said
    assert ways.missing_of([])
