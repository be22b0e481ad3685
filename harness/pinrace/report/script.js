// SPDX-License-Identifier: GPL-2.0-or-later
// What the page does beyond being read: filters, copy buttons, and opening what a link points at.
"use strict";

const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

// Calls a function once for all the input of a frame.
const calm = (call) => {
  let due = 0;
  return () => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(call);
  };
};

const make = (name, text, className) => {
  const it = document.createElement(name);
  it.textContent = text;
  if (className) it.className = className;
  return it;
};

// Commands

const copy = async (text, near) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(near);
    const chosen = getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
    return document.execCommand("copy");
  }
};

for (const line of all(".cmd")) {
  const button = make("button", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy: ${line.dataset.what}`);
  button.addEventListener("click", async () => {
    const code = line.querySelector("code");
    const done = await copy(code.textContent, code);
    button.textContent = done ? "Copied" : "Selected";
    button.setAttribute("aria-label", button.textContent);
  });
  line.classList.add("copies");
  line.append(button);
}

// Consoles: rows with numbers once a console is opened, and a filter.

const rowsOf = (block) => {
  const rows = [];
  let number = Number(block.dataset.first);
  for (const part of Array.from(block.childNodes)) {
    const lines = part.textContent.split("\n");
    if (lines.at(-1) === "") lines.pop();
    for (const text of lines) {
      const row = make("span", text + "\n", "row");
      row.dataset.n = String(number++);
      if (part.id) {
        row.replaceChildren(make("mark", text + "\n"));
        row.id = part.id;
      }
      rows.push({ row, text, low: text.toLowerCase(), plain: Array.from(row.childNodes) });
    }
  }
  block.replaceChildren(...rows.map((one) => one.row));
  return rows;
};

const light = (one, wanted) => {
  const parts = [];
  let from = 0;
  for (let at = one.low.indexOf(wanted); at >= 0; at = one.low.indexOf(wanted, from)) {
    parts.push(one.text.slice(from, at), make("mark", one.text.slice(at, at + wanted.length)));
    from = at + wanted.length;
  }
  one.row.replaceChildren(...parts, one.text.slice(from) + "\n");
};

const setUpConsole = (box) => {
  const rows = all("pre.log", box).flatMap(rowsOf);
  const tools = box.querySelector(".find");
  const [word, only] = all("input", tools);
  const said = tools.querySelector("output");
  tools.hidden = false;
  const filter = () => {
    const wanted = word.value.toLowerCase();
    let found = 0;
    let first = null;
    for (const one of rows) {
      const hit = wanted !== "" && one.low.includes(wanted);
      if (hit) {
        found += 1;
        first ??= one.row;
        // A letter whose small form is two has no place to light up.
        if (one.low.length === one.text.length) light(one, wanted);
        one.lit = true;
      } else if (one.lit) {
        one.row.replaceChildren(...one.plain);
        one.lit = false;
      }
      one.row.hidden = wanted !== "" && only.checked && !hit;
    }
    said.value = wanted === "" ? "" : `${found} of ${rows.length} lines`;
    if (first && !only.checked) first.scrollIntoView({ block: "nearest" });
  };
  word.addEventListener("input", calm(filter));
  only.addEventListener("change", filter);
};

for (const box of all("details.console")) {
  box.addEventListener("toggle", () => {
    if (box.open && !box.dataset.ready) {
      box.dataset.ready = "1";
      const wanted = box.contains(target());
      setUpConsole(box);
      if (wanted) show();
    }
  });
}

// Cells

const tools = document.getElementById("find-cells");
if (tools) {
  const [word, hide] = all("input", tools);
  const said = tools.querySelector("output");
  const cells = all("article.cell").map((it) => ({
    it,
    good: it.classList.contains("pass") || it.classList.contains("skip"),
    text: all("summary, .cases", it).map((part) => part.textContent).join("\n").toLowerCase(),
  }));
  const filter = () => {
    const wanted = word.value.toLowerCase();
    let shown = 0;
    for (const cell of cells) {
      cell.it.hidden = (hide.checked && cell.good) || !cell.text.includes(wanted);
      if (!cell.it.hidden) shown += 1;
    }
    said.value = shown === cells.length ? "" : `${shown} of ${cells.length} cells`;
  };
  tools.hidden = false;
  tools.addEventListener("submit", (event) => event.preventDefault());
  word.addEventListener("input", calm(filter));
  hide.addEventListener("change", filter);
  filter();
}

// Links

function target() {
  return document.getElementById(decodeURIComponent(location.hash.slice(1)));
}

function show() {
  const found = target();
  if (!found) return;
  const cell = found.closest("article.cell");
  if (cell) cell.hidden = false;
  for (let it = found.closest("details"); it; it = it.parentElement.closest("details")) {
    it.open = true;
  }
  found.scrollIntoView({ block: found.closest("pre") ? "center" : "start" });
}
addEventListener("hashchange", show);
show();
