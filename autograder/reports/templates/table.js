// The class table sorts and filters. Rows are read once; nothing of them is ever used but as text.
"use strict";
const table = document.getElementById("class");
const body = table.tBodies[0];
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const rows = Array.from(body.rows, (row) => ({
  row,
  kind: row.dataset.k,
  assignment: row.cells[1].textContent,
  text: row.textContent.toLowerCase(),
  keys: Array.from(row.cells, (cell) => cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v)),
}));

const find = document.getElementById("find");
const which = document.getElementById("which");
const kind = document.getElementById("kind");
const shown = document.getElementById("shown");

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const one of rows) {
    const fits = (!kind.value || one.kind === kind.value)
      && (!which || !which.value || one.assignment === which.value)
      && words.every((word) => one.text.includes(word));
    if (one.row.hidden === fits) one.row.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${rows.length}`;
}

function sort(heading) {
  const column = heading.cellIndex;
  const before = heading.getAttribute("aria-sort");
  const down = before ? before === "ascending" : "down" in heading.dataset;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const sign = down ? -1 : 1;
  rows.sort((a, b) => {
    const x = a.keys[column], y = b.keys[column];
    return sign * (typeof x === "number" ? x - y : collator.compare(x, y));
  });
  const all = document.createDocumentFragment();
  for (const one of rows) all.append(one.row);
  body.append(all);
}

for (const heading of table.tHead.rows[0].cells) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sort(heading));
  heading.replaceChildren(button);
}
for (const control of [find, which, kind]) if (control) control.addEventListener("input", filter);
const form = document.querySelector(".tools");
form.addEventListener("submit", (event) => event.preventDefault());
form.hidden = false;
filter(); // a browser may have kept what was typed before
