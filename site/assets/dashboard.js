// The dashboard comes alive: the chart of any range, and the newest numbers without a reload.
"use strict";

(() => {
  const POLL_SECONDS = 60;
  const GAP_SECONDS = 3 * 3600; // as in builder/pages/charts/moments.py
  const { Living, get, withGaps, bandOf, timeAxis, dateOf, usd, percent, confidence, utc, digits, whenSeen } = oracle.charts;
  const plot = document.getElementById("history-plot"); // absent until something is recorded
  const drawn = plot?.querySelector(".drawn");
  const links = [...document.querySelectorAll("[data-range]")];

  // The chart

  const asked = () => new URLSearchParams(location.search).get("range");
  const wanted = () => (links.some((link) => link.dataset.range === asked()) ? asked() : "7d");
  const isLong = (range) => ["1y", "all"].includes(range);

  function figure({ history, episodes }, colour, { isLog }) {
    const columns = withGaps(history, "time_unix", Math.max(GAP_SECONDS, 3 * (history.step_seconds ?? 0)));
    const time = columns.time_unix.map((t) => t * 1000);
    const limit = Number(plot.dataset.threshold);
    const apart = columns.divergence_percent.filter((p) => p !== null).map(Math.abs);
    const reach = Math.max(limit * 1.6, ...apart.map((p) => p * 1.15));
    const end = Math.max(history.generated_at_unix, history.time_unix.at(-1) ?? 0);
    const start = Math.max(history.first_unix ?? 0, history.time_unix[0] ?? end - 86400);
    const about = columns.height.map((height, i) => [height, columns.confidence[i],
      columns.is_valid[i] === false ? ", low" : ""]);
    // The difference of a window is not that of the spot and exchange price beside it.
    const leg = columns.leg.map((name) => (name === "window" ? " (of the window)" : ""));
    // In a long range a step is doubtful only when it has no valid block at all.
    const step = history.step_seconds ?? 1;
    const sound = new Set(columns.time_unix.filter((_, i) => columns.is_valid[i]).map((t) => Math.floor(t / step)));
    const invalid = columns.spot_usd.map((price, i) => (
      columns.is_valid[i] === false && !sound.has(Math.floor(columns.time_unix[i] / step)) ? price : null));
    const signed = (p) => `${p > 0 ? "+" : "−"}${Math.abs(p)}%`;
    return {
      data: [
        { ...bandOf(time, columns.spot_low_usd, columns.spot_high_usd), meta: "interval", fill: "toself", fillcolor: colour["onchain-tint"],
          line: { width: 0 }, hoverinfo: "skip" },
        { x: time, y: columns.spot_usd, meta: "price", name: "On-chain", names: true, customdata: about, line: { color: colour.onchain, width: 2 },
          hovertemplate: "%{y:$,.0f} (block %{customdata[0]:,}, confidence %{customdata[1]:.2f}%{customdata[2]})<extra>On-chain</extra>" },
        { x: time, y: columns.exchange_usd, meta: "exchange", name: "Exchange", names: true, line: { color: colour.exchange, width: 1.6, dash: "3px,5px" },
          hovertemplate: "%{y:$,.0f}<extra>Exchange</extra>" },
        { x: time, y: invalid, meta: "doubt", mode: "markers", hoverinfo: "skip",
          marker: { size: history.step_seconds ? 5 : 7, color: colour.paper, line: { color: colour.onchain, width: 1.5 } } },
        { x: time, y: columns.divergence_percent, yaxis: "y2", name: "Difference", customdata: leg, line: { color: colour.ink, width: 1.4 },
          hovertemplate: "%{y:+.2f}%%{customdata}<extra>Difference</extra>" },
      ],
      layout: {
        height: 474, uirevision: history.range,
        xaxis: timeAxis({ range: [start * 1000, end * 1000], anchor: "y2" }),
        yaxis: { domain: [146 / 436, 1], tickformat: "$,.0f", nticks: 8, type: isLog && isLong(history.range) ? "log" : "linear" },
        yaxis2: { domain: [0, 110 / 436], range: [-reach, reach], tickvals: [-limit, 0, limit], ticktext: [signed(-limit), "0%", signed(limit)] },
        annotations: [{ text: "Difference from the exchange price", xref: "paper", yref: "paper", x: 0, y: 110 / 436,
          xanchor: "left", yanchor: "bottom", showarrow: false, font: { color: colour.ink, weight: 600 }, borderpad: 0 }],
        shapes: [
          ...episodes.episodes.filter((e) => e.kind === "divergence").map((e) => ({ type: "rect", name: "episode", xref: "x", yref: "y2 domain", y0: 0, y1: 1,
            x0: e.started_at_unix * 1000, x1: (e.ended_at_unix ?? end) * 1000, fillcolor: colour.alarm, opacity: 0.16, line: { width: 0 }, layer: "below" })),
          ...[-limit, limit].map((p) => ({ type: "line", xref: "x domain", yref: "y2", x0: 0, x1: 1, y0: p, y1: p,
            line: { color: colour.alarm, width: 1, dash: "2px,3px" } })),
        ],
      },
    };
  }

  // The chart in words and as a table

  function summary(history) {
    const prices = history.spot_usd.filter((price) => price !== null);
    if (!prices.length) return "There is no on-chain price in this range.";
    const between = `between ${usd(Math.min(...prices))} and ${usd(Math.max(...prices))}, last at ${usd(prices.at(-1))}`;
    const apart = history.divergence_percent.filter((p) => p !== null).map(Math.abs);
    if (!apart.length) return `The on-chain price lay ${between}. There was no exchange price.`;
    const limit = Number(plot.dataset.threshold);
    return `The on-chain price lay ${between}. It was at most ${digits(Math.max(...apart), 2)}% from the exchange price, `
      + `beyond ${limit}% in ${apart.filter((p) => p > limit).length} of ${apart.length} moments.`;
  }

  function describe(history) {
    const table = plot.closest("figure").querySelector("details:last-of-type table");
    const headline = links.find((link) => link.dataset.range === history.range)?.dataset.words ?? history.range;
    table.closest("details").querySelector("p").textContent = summary(history);
    table.closest("[role=region]").setAttribute("aria-label", `Table of ${headline.toLowerCase()}`);
    const span = history.time_unix.length ? history.time_unix.at(-1) - history.time_unix[0] : 0;
    const step = 6 * 3600 * Math.max(1, Math.ceil(span / (45 * 86400)));
    const newest = new Map(history.time_unix.map((t, i) => [Math.floor(t / step), i]));
    table.tBodies[0].replaceChildren(...[...newest.values()].reverse().map((i) => row(history, i)));
  }

  function row(history, i) {
    const line = document.createElement("tr");
    const [low, high] = [history.spot_low_usd[i], history.spot_high_usd[i]];
    const cells = [utc(history.time_unix[i]), history.height[i].toLocaleString("en-US"), usd(history.spot_usd[i]), `${usd(low)} to ${usd(high)}`,
      usd(history.exchange_usd[i]), percent(history.divergence_percent[i]) + (history.leg[i] === "window" ? " of the window" : ""),
      confidence(history.confidence[i]) + (history.is_valid[i] ? "" : " low")];
    cells.forEach((words, column) => {
      const cell = line.appendChild(document.createElement(column ? "td" : "th"));
      if (!column) cell.scope = "row";
      cell.textContent = words;
    });
    return line;
  }

  const living = plot && new Living(plot, {
    figure,
    subplots: ["xy", "xy2"],
    shown: ({ history }) => history.range,
    label: ({ history }) => summary(history),
    x: ({ history }) => history.time_unix.map((t) => t * 1000),
    day: ({ history }, i) => dateOf(history.time_unix[i] * 1000),
    words: ({ history }, i) => `${utc(history.time_unix[i])}: on-chain ${usd(history.spot_usd[i])} `
      + `(block ${history.height[i].toLocaleString("en-US")}, confidence ${confidence(history.confidence[i])}), `
      + `exchange ${usd(history.exchange_usd[i])}, difference ${percent(history.divergence_percent[i])}`,
  });
  if (plot) oracle.charts.living.set(plot, living);

  function mark(range) {
    for (const link of links) {
      if (link.dataset.range === range) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    document.getElementById("chart-title").textContent = links.find((link) => link.dataset.range === range).dataset.words;
    for (const file of document.querySelectorAll('.take a[href^="/api/history/"]')) {
      file.setAttribute("href", file.getAttribute("href").replace(/[^/]+(?=\.\w+$)/, range));
    }
    plot.closest("figure").querySelector(".controls").hidden = !isLong(range);
  }

  // What is drawn stays, under the heading of what it is; the reader may ask again.
  function tell(problem, range) {
    const place = document.getElementById("chart-problem");
    place.hidden = !problem;
    if (!problem) return;
    plot.dataset.problem = String(problem);
    const words = links.find((link) => link.dataset.range === range).dataset.words.toLowerCase();
    place.querySelector("span").textContent = `The chart of ${words} could not be had.`;
    place.querySelector("button").onclick = () => show(range);
    mark(living.shown?.history.range ?? "7d");
  }

  async function show(range) {
    mark(range);
    plot.setAttribute("aria-busy", "true");
    try {
      const [history, episodes] = await Promise.all([get(`/api/history/${range}.json`), get("/api/episodes.json")]);
      if (range !== wanted()) return; // another one was chosen meanwhile
      if (living.shown?.history.range !== range) living.cursor = null;
      await living.show({ history, episodes });
      tell(null);
      describe(history);
    } catch (problem) {
      tell(problem, range);
    } finally {
      plot.removeAttribute("aria-busy");
    }
  }

  for (const link of links) {
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      history.pushState(null, "", `?range=${link.dataset.range}`);
      show(link.dataset.range);
    });
  }
  addEventListener("popstate", () => show(wanted()));
  if (plot) whenSeen(plot, () => show(wanted()), wanted() !== "7d" || location.search.includes("from="));

  // The numbers

  const now = () => document.getElementById("now");

  // Make an element what another is, and leave what is the same in its place: focus, open details and regions that
  // are being announced stay.
  function become(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const [kept, wanted] = [[...old.childNodes], [...fresh.childNodes]];
    wanted.forEach((node, i) => (kept[i] ? become(kept[i], node) : old.append(node)));
    kept.slice(wanted.length).forEach((node) => node.remove());
  }
  async function refresh() {
    if (document.hidden) return;
    try {
      const latest = await get("/api/latest.json");
      if (String(latest.generated_at_unix) === now().dataset.generated) return;
      const answer = await fetch(location.pathname, { cache: "no-cache" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!plot && page.getElementById("history-plot")) location.reload();
      become(now(), page.getElementById("now"));
      become(document.getElementById("words"), page.getElementById("words"));
      drawn?.replaceChildren(...page.querySelector(".drawn").childNodes);
      document.title = page.title;
      if (living?.shown) show(wanted());
    } catch { /* no connection, or a release changing hands: the next round asks again */ }
    oracle.tellTime();
    oracle.watchClock();
  }

  setInterval(refresh, POLL_SECONDS * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
