"use strict";
// Everything here is a comfort: without it the page has the same pictures and tables.

// Sort a table by a column: numbers by what the cell holds, texts as people order them, nothing always last.
function sortBy(table, index, button) {
  const head = button.parentNode;
  const body = table.tBodies[0];
  const numeric = head.classList.contains("number");
  const before = head.getAttribute("aria-sort");
  const down = before ? before === "ascending" : numeric && !/^(rank|p|behind|group|time)/.test(button.textContent);
  const key = (row) => {
    const cell = row.cells[index];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return numeric || cell.textContent === "–" ? null : cell.textContent;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true }));
  const rows = Array.from(body.rows, (row) => [key(row), row]);
  rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b)));
  body.append(...rows.map(([, row]) => row));
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 2) continue;
  Array.from(table.tHead.rows[0].cells).forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    head.dataset.title = head.textContent;
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, index, button));
  });
}

// Replace each still picture by its interactive chart when it comes near; where that fails, the picture stays.
const specifications = JSON.parse(document.getElementById("specifications").textContent);

function enliven(plot) {
  const specification = specifications[plot.dataset.chart];
  const still = plot.firstElementChild;
  const live = document.createElement("div");
  live.className = "live waiting";
  live.setAttribute("aria-hidden", "true");
  plot.append(live);
  specification.config.axisY.labelLimit = Math.min(270, Math.round(0.4 * plot.clientWidth));
  const visible = plot.parentNode.clientWidth; // a wide chart scrolls, and its legend should be seen at once
  if (visible < 420) Object.assign(specification.config.legend, { columns: 1, labelLimit: visible - 40 });
  specification.config.axis.titleLimit = Math.max(150, plot.clientWidth - 60);
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, logLevel: 1 };
  window.vegaEmbed(live, specification, options).then(() => {
    still.remove();
    live.classList.remove("waiting");
    plot.classList.add("lives");
  }, (error) => {
    live.remove();
    console.error(plot.dataset.chart, error);
  });
}

if (window.vegaEmbed && window.IntersectionObserver) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      enliven(entry.target);
    }
  }, { rootMargin: "800px" });
  // Charts are laid out by the widths of their texts: those of the page's own font, once it is there.
  Promise.allSettled(["12px Arimo", "bold 12px Arimo"].map((font) => document.fonts.load(font)))
    .then(() => document.querySelectorAll("[data-chart]").forEach((plot) => watcher.observe(plot)));
}

// A box that need not be scrolled need not be reached by keyboard.
if (window.ResizeObserver) {
  const measure = (box) => {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    box.toggleAttribute("data-scrolls", scrolls);
  };
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => measure(entry.target.closest(".scroll"))));
  for (const box of document.querySelectorAll(".scroll")) {
    sizes.observe(box);
    sizes.observe(box.firstElementChild);
  }
}

// An image is enlarged by a click, with what is said of it.
for (const image of document.querySelectorAll(".cards img")) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", `Enlarge: ${image.alt}`);
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", image.alt);
    const form = document.createElement("form");
    form.method = "dialog";
    form.append(Object.assign(document.createElement("button"), { textContent: "Close" }));
    dialog.append(image.cloneNode(), ...Array.from(button.parentNode.querySelectorAll("p"), (p) => p.cloneNode(true)), form);
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// What is folded is printed too.
window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.open = true;
    folded.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const opened of document.querySelectorAll("details[data-printed]")) {
    opened.open = false;
    delete opened.dataset.printed;
  }
});
