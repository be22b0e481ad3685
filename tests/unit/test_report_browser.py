# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a run in a real browser: its script, its policy and its layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import report_runs as runs
from browser import CHROMIUM, Browser

from pinrace.report.render import write

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no chromium on this host: apt-get install chromium"
)

FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TYPE = """(() => {{
  const box = {where};
  box.value = {text!r};
  box.dispatchEvent(new Event("input"));
  return {frames};
}})()"""
CONSOLE = "document.querySelector('details.console[open] input[type=search]')"
CELLS = "document.querySelector('#find-cells input[type=search]')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        one.size(1280, 900)
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = runs.sample(tmp_path_factory.mktemp("sample"))
    write(folder, history=runs.history())
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> str:
    return (folder / "report.html").as_uri()


def type_into(browser: Browser, where: str, text: str) -> None:
    """Type into a search box, and wait for two frames."""
    browser.run(TYPE.format(where=where, text=text, frames=FRAMES))


def test_the_page_asks_for_nothing_and_has_no_fault(browser: Browser, url: str) -> None:
    browser.open(url)
    assert browser.complaints() == []
    assert browser.requests() == [url]


def test_a_link_to_a_line_opens_its_console(browser: Browser, url: str) -> None:
    browser.open(url)
    line = browser.run("document.querySelector('.splat .where a').hash")
    assert browser.run(f"document.querySelector('{line}').closest('details').open") is False
    browser.run("document.querySelector('.splat .where a').click()")
    browser.run(
        f"new Promise(done => (function look() {{ const row = document.querySelector('{line}');"
        " row.className === 'row' ? done() : setTimeout(look, 10) })())"
    )
    row = browser.run(
        f"(() => {{ const row = document.querySelector('{line}');"
        " const at = row.getBoundingClientRect();"
        " return [row.dataset.n, row.textContent, at.top >= 0 && at.bottom <= innerHeight] })()"
    )
    assert row[0] == line.rsplit("-L")[1]
    assert "WARNING: " in row[1]
    assert row[2], "the line is out of sight"
    assert browser.complaints() == []


def test_filter_of_a_console(browser: Browser, url: str) -> None:
    browser.open(url)
    before = browser.run(
        "(() => { const box = document.querySelector('details.console'); box.open = true;"
        " const text = box.querySelector('pre').textContent;"
        " return new Promise(done => box.addEventListener('toggle',"
        " () => done([text, box.querySelector('pre').textContent]))) })()"
    )
    assert before[0] == before[1], "numbering changed the text"
    type_into(browser, CONSOLE, "LKDTM")
    shown = browser.run(
        "Array.from(document.querySelectorAll('details.console[open] .row:not([hidden])'))"
        ".map(row => [row.dataset.n, row.textContent, row.querySelectorAll('mark').length])"
    )
    lines = before[0].split("\n")
    wanted = [(n, line) for n, line in enumerate(lines, 1) if "lkdtm" in line.lower()]
    assert [(int(n), text.rstrip("\n")) for n, text, _ in shown] == wanted
    assert all(marks == line.lower().count("lkdtm") for _, line, marks in shown)
    said = browser.run("document.querySelector('details.console[open] output').value")
    assert said == f"{len(wanted)} of {len(lines) - 1} lines"
    type_into(browser, CONSOLE, "")
    after = browser.run("document.querySelector('details.console[open] pre').textContent")
    assert after == before[0]
    assert browser.run("document.querySelectorAll('.row[hidden]').length") == 0


def test_filter_of_cells(browser: Browser, url: str) -> None:
    browser.open(url)
    count = "document.querySelectorAll('article:not([hidden])').length"
    assert browser.run(count) == 12
    type_into(browser, CELLS, "arm64/arm ")
    assert browser.run(count) == 3
    type_into(browser, CELLS, "c11_open")
    assert browser.run(count) == 4
    type_into(browser, CELLS, "")
    browser.run("document.querySelector('#find-cells input[type=checkbox]').click()")
    assert browser.run(count) == 5
    said = browser.run("document.querySelector('#find-cells output').value")
    assert said == "5 of 12 cells"
    # A link brings back a cell that the filter hides.
    browser.run("document.querySelector('td.pass a').click()")
    browser.run(FRAMES)
    assert browser.run(count) == 6


@pytest.mark.parametrize("allowed", [True, False], ids=["by the clipboard", "by selecting"])
def test_copy(browser: Browser, url: str, allowed: bool) -> None:
    browser.open(url)
    browser.call("Page.bringToFront")
    permissions = ["clipboardReadWrite"] + ["clipboardSanitizedWrite"] * allowed
    browser.call("Browser.grantPermissions", permissions=permissions)
    got = browser.run(
        "(async () => { const line = document.querySelector('.body .cmd');"
        " const button = line.querySelector('button'); button.click();"
        " while (button.textContent === 'Copy') await new Promise(d => setTimeout(d, 10));"
        " return [button.textContent, line.querySelector('code').textContent,"
        " await navigator.clipboard.readText()] })()"
    )
    assert got[0] == "Copied"
    assert got[1] == got[2]
    assert got[1].startswith("pinrace build")
    chosen = browser.run("getSelection().toString()")
    assert chosen == ("" if allowed else got[1])


def test_without_scripts_all_text_is_there(url: str) -> None:
    with Browser(script=False) as plain:
        plain.size(1280, 900)
        plain.open(url)
        assert plain.run("document.querySelectorAll('form:not([hidden]), button').length") == 0
        line = plain.run("document.querySelector('.splat .where a').href")
        plain.open(line)
        where = f"document.getElementById('{line.split('#')[1]}')"
        assert "WARNING: " in plain.run(f"{where}.textContent")
        assert plain.run(f"{where}.closest('details').open"), "the link opened nothing"


def test_what_can_be_used_has_a_name(browser: Browser, url: str) -> None:
    browser.open(url)
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)")
    browser.run(FRAMES)
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"link", "button", "searchbox", "checkbox", "DisclosureTriangle", "region", "img"}
    roles |= {"table", "heading", "search", "navigation", "image"}
    seen = set()
    for node in tree:
        role = node.get("role", {}).get("value")
        if role in roles and not node["ignored"]:
            seen.add(role)
            assert node.get("name", {}).get("value", "").strip(), node
    assert {"link", "button", "searchbox", "checkbox", "region", "table", "heading"} <= seen


@pytest.mark.parametrize("width", [320, 400, 800, 1280])
def test_nothing_is_wider_than_the_window(
    browser: Browser, url: str, tmp_path: Path, width: int
) -> None:
    evil = write(runs.hostile(tmp_path)).as_uri()
    browser.size(width, 900)
    try:
        for address in (url, evil):
            browser.open(address)
            browser.run("document.querySelectorAll('details').forEach(it => it.open = true)")
            browser.run(FRAMES)
            assert browser.run("document.documentElement.scrollWidth") <= width
            cut = "Array.from(document.querySelectorAll('article, section, header'))"
            cut += ".filter(it => it.scrollWidth > it.clientWidth).map(it => it.innerText)"
            assert browser.run(cut) == []
    finally:
        browser.size(1280, 900)


def test_dark_and_print(browser: Browser, url: str) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(url)
    try:
        browser.media(prefers_color_scheme="light")
        light = browser.run(ground)
        browser.media(prefers_color_scheme="dark")
        assert browser.run(ground) != light
        browser.media("print", prefers_color_scheme="dark")
        assert browser.run(ground) == "rgb(255, 255, 255)"
        assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert browser.run("getComputedStyle(document.querySelector('.log')).maxHeight") == "none"
    finally:
        browser.media()


def test_the_keyboard_comes_to_the_results_first(browser: Browser, url: str) -> None:
    browser.open(url)
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
        )
    got = browser.run(
        "[document.activeElement.hash, getComputedStyle(document.activeElement).outlineStyle,"
        " document.activeElement.getBoundingClientRect().left >= 0]"
    )
    assert got == ["#main", "solid", True]


def test_nothing_of_a_guest_runs(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(runs.hostile(tmp_path)).as_uri())
    browser.run("document.querySelectorAll('details').forEach(it => it.open = true)")
    browser.run(FRAMES)
    for where in (CONSOLE, CELLS):
        type_into(browser, where, "<")
    assert browser.run("document.title").startswith("FAIL: ")
    assert browser.run("document.images.length") == 0
    assert browser.complaints() == []
    assert len(browser.requests()) == 1


def test_even_markup_that_got_through_would_not_run(
    browser: Browser, url: str, folder: Path
) -> None:
    html = (folder / "report.html").read_text()
    bad = (
        "<script>document.title = 'owned'</script><img src=http://localhost:9/x"
        " onerror=\"document.title = 'owned'\"><style>body { display: none }</style>"
        "<iframe src='data:text/html,x'></iframe>"
    )
    path = folder / "bad.html"
    path.write_text(html.replace("<h2", f"{bad}<h2", 1))
    browser.open(path.as_uri())
    assert browser.run("document.title").startswith("FAIL: ")
    assert browser.run("getComputedStyle(document.body).display") == "block"
    refused = " ".join(browser.complaints())
    assert "Content Security Policy" in refused


def test_many_cells(browser: Browser, tmp_path: Path) -> None:
    browser.open(write(runs.large(tmp_path, 72)).as_uri())
    assert browser.run("document.querySelectorAll('article').length") == 72
    type_into(browser, CELLS, "kcsan seccomp_bpf, run 2")
    assert browser.run("document.querySelectorAll('article:not([hidden])').length") == 4
    assert browser.complaints() == []
