// What every page shares: theme, ages, copying, sorting, pictures. Pages are complete without it.
"use strict";

const oracle = {
  // The same words as the filters of builder/pages/filters.py.
  duration(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min`;
    const [size, unit, small, name] = whole < 86400 ? [3600, "h", 60, "min"] : [86400, "d", 3600, "h"];
    const rest = Math.floor((whole % size) / small);
    return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${name}` : ""}`;
  },
  now: () => Date.now() / 1000,
  grace: Number(document.body.dataset.grace),
  // When the next build is due: as the page says, or, on pages that stay for days, as the newest build says.
  due: NaN,
  watchClock() {
    const due = Number(document.querySelector("[data-due]")?.dataset.due ?? oracle.due);
    const late = oracle.now() - due;
    const isStale = late >= oracle.grace;
    document.documentElement.classList.toggle("stale", isStale);
    document.getElementById("stale").hidden = !isStale;
    const words = oracle.duration(late);
    document.getElementById("stale-for").textContent = isStale ? words : "";
    document.title = `${isStale ? `(overdue by ${words}) ` : ""}${document.title.replace(/^\(overdue by [^)]*\) /, "")}`;
  },
  local: (t, style) => `${new Intl.DateTimeFormat(undefined, style).format(new Date(t))} where you are`,
  tellTime() {
    for (const [name, words] of [
      ["local", (t) => (new Date().getTimezoneOffset() ? ` (${oracle.local(t * 1000, { timeStyle: "short" })})` : "")],
      ["age", (t) => { const age = oracle.now() - t; return age < 60 ? "just now" : `${oracle.duration(age)} ago`; }],
      ["lasting", (t) => ` (for ${oracle.duration(oracle.now() - t)})`],
      ["until", (t) => {
        const late = oracle.now() - t;
        if (late < 0) return `, in ${oracle.duration(-late)}`;
        return late < oracle.grace ? ", any moment" : `, overdue by ${oracle.duration(late)}`;
      }],
    ]) {
      for (const element of document.querySelectorAll(`[data-${name}]`)) {
        element.textContent = words(Number(element.dataset[name]));
      }
    }
  },
  // A colour of the stylesheet as the browser resolves it for the theme in force.
  colour(name) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.className = "probe"; // keeps its colour where the system forces others
    probe.style.color = `var(--${name})`;
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  },
  save(url, name) {
    const link = Object.assign(document.createElement("a"), { href: url, download: name });
    link.click();
  },
  themeListeners: [],
};

// Light and dark: the system's until the switch is used.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const changed = () => oracle.themeListeners.forEach((listener) => listener());
  dark.addEventListener("change", changed);
  document.querySelector(".theme")?.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* lasts for this page only */ }
    changed();
  });
})();

// Times are UTC; where the reader's clock says otherwise, it says so over each of them.
if (new Date().getTimezoneOffset()) {
  for (const time of document.querySelectorAll("time[datetime*=T]")) {
    time.title = oracle.local(time.dateTime, { dateStyle: "medium", timeStyle: "short" });
  }
}

// The day before and the day after, by the arrow keys; not where these move something else.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea, [tabindex='0'], .plot")) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel) document.querySelector(`a[rel="${rel}"]`)?.click();
});

// A day by its date. Not every date has a page: the record may have gaps.
for (const form of document.querySelectorAll("form.search")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const date = form.querySelector("input").value;
    const answer = await fetch(`/days/${date}/`, { method: "HEAD" }).catch(() => null);
    if (answer?.ok) location.assign(`/days/${date}/`);
    else form.querySelector("output").textContent = answer ? `There is no final day of ${date} on record.` : "The site could not be reached.";
  });
}

// A page in another site's frame takes the newest build's place by itself.
for (const page of document.querySelectorAll("[data-reload]")) {
  setInterval(() => location.reload(), 1000 * Number(page.dataset.reload));
}

// Lines to copy name the address the page really came from.
for (const code of document.querySelectorAll("[data-copy]")) {
  code.textContent = code.textContent.replaceAll(document.body.dataset.origin, location.origin);
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  const code = button?.parentElement.querySelector("[data-copy]");
  if (!code) return; // a button of another kind that only looks like these
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without https: select it, the reader copies
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
});

// Tables that sort: by the exact value where there is one, else by the words.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const number = /^[−+-]?\$?[\d,.]+%?/;
  const value = (row, column) => {
    const words = row.cells[column].textContent.trim();
    if (column === 0) return words;
    const exact = row.cells[column].querySelector("data")?.value;
    if (exact) return Number(exact);
    const found = words.match(number);
    return found ? Number(found[0].replace("−", "-").replace(/[$,%+]/g, "")) : -Infinity;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Tables of which a part can be shown.
for (const filter of document.querySelectorAll("[data-filter]")) {
  const choice = filter.querySelector("select");
  choice.addEventListener("change", () => {
    const rows = [...document.querySelectorAll(`#${filter.dataset.filter} tbody tr`)];
    for (const row of rows) row.hidden = choice.value !== "" && !row.dataset.kinds.split("|").includes(choice.value);
    const shown = rows.filter((row) => !row.hidden).length;
    filter.querySelector("output").textContent = shown < rows.length ? `${shown} of ${rows.length}` : "";
  });
}

// A calendar wider than the screen begins where the days are.
for (const calendar of document.querySelectorAll(".scroll:has(> .calendar)")) {
  const last = calendar.querySelector("a:last-of-type");
  if (last) calendar.scrollLeft = last.getBoundingClientRect().right - calendar.getBoundingClientRect().right + 24;
}

// Where a picture comes from: it goes on without the page.
oracle.sourceLine = () => {
  const made = document.querySelector(".foot time, [data-made]")?.getAttribute("datetime") ?? new Date().toISOString();
  return `${location.origin}${location.pathname} · made ${made.slice(0, 16).replace("T", " ")} UTC · on-chain price by the UTXOracle v9.1 method`;
};

// A drawn chart as a PNG: its computed styles become attributes, because a picture has no stylesheet.
oracle.picture = async (svg, title, keys) => {
  const kept = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap",
    "stroke-linejoin", "vector-effect", "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "display"];
  const { width, height } = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, index) => {
    const style = getComputedStyle(originals[index]);
    for (const name of kept) element.setAttribute(name, style.getPropertyValue(name));
  });
  const [edge, head, beside, foot] = [24, keys.length ? 84 : 56, 68, 40];
  const [paper, ink, soft] = ["paper", "ink", "soft"].map(oracle.colour);
  const make = (parent, name, attributes, words = "") => {
    const made = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = words;
    return made;
  };
  const outer = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  outer.setAttribute("width", width + 2 * edge + beside);
  outer.setAttribute("height", height + head + foot);
  make(outer, "rect", { width: "100%", height: "100%", fill: paper });
  const font = { "font-family": "system-ui, sans-serif" };
  make(outer, "text", { ...font, x: edge, y: 36, "font-size": 18, "font-weight": 600, fill: ink }, title);
  let x = edge;
  for (const { colour, words } of keys) {
    make(outer, "rect", { x, y: 56, width: 16, height: 4, fill: colour });
    make(outer, "text", { ...font, x: x + 22, y: 62, "font-size": 12, fill: soft }, words);
    x += 44 + 6.6 * words.length;
  }
  make(outer, "text", { ...font, x: edge, y: height + head + 26, "font-size": 12, fill: soft }, oracle.sourceLine());
  for (const [name, number] of [["x", edge], ["y", head], ["width", width], ["height", height]]) copy.setAttribute(name, number);
  outer.append(copy);
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(outer)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: (width + 2 * edge + beside) * 2, height: (height + head + foot) * 2 });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(url);
  return canvas.toDataURL("image/png");
};

// What the legend of a figure says, with the colour of each key.
oracle.keysOf = (figure) => [...figure.querySelectorAll(".legend li")].map((item) => {
  const style = getComputedStyle(item.querySelector(".key") ?? item);
  const isLine = parseFloat(style.borderTopWidth) > 0;
  return { colour: isLine ? style.borderTopColor : style.backgroundColor, words: item.textContent.trim() };
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-png]");
  if (!button) return;
  const figure = button.closest("figure");
  const network = document.querySelector(".tag.demo");
  const day = location.pathname.startsWith("/days/") ? document.querySelector("h1").textContent : "";
  const about = figure.closest("section")?.querySelector("h2")?.textContent ?? "";
  const title = ["On-chain price of bitcoin", day, about].filter(Boolean).join(" · ") + (network ? ` (${network.textContent})` : "");
  const living = oracle.charts?.living.get(figure.querySelector(".plot"));
  const url = await (living?.shown ? living.picture(title) : oracle.picture(figure.querySelector(".drawn > svg"), title, oracle.keysOf(figure)));
  oracle.save(url, `${button.dataset.png}.png`);
});

const tick = () => { oracle.tellTime(); oracle.watchClock(); };
tick();
setInterval(tick, 15_000);
if (!document.querySelector("[data-due]")) {
  fetch("/api/latest.json", { cache: "no-cache" })
    .then((answer) => answer.json())
    .then((latest) => { oracle.due = latest.next_due_at_unix; tick(); })
    .catch(() => { /* offline: nobody knows */ });
}
