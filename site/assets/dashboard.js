// The dashboard comes alive: the chart of any range, and the newest numbers without a reload.
"use strict";

(() => {
  const POLL_SECONDS = 60;
  const GAP_SECONDS = 3 * 3600; // as in builder/pages/charts/moments.py
  const plot = document.getElementById("history-plot"); // absent until something is recorded
  const drawn = plot?.querySelector(".drawn");
  const live = plot?.querySelector(".live");
  const links = [...document.querySelectorAll("[data-range]")];
  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-cache" }); // asks with the ETag it has; unchanged costs a header
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };

  // The chart

  let plotly = null; // a promise once it is wanted
  let shown = null; // {history, episodes}
  // A finger has no hover and taps twice by chance: what it touches is read out below, and moves no axis.
  const isTouched = matchMedia("(pointer: coarse)").matches;
  const wanted = () => {
    const asked = new URLSearchParams(location.search).get("range");
    return links.some((link) => link.dataset.range === asked) ? asked : "7d";
  };
  const loadPlotly = () => (plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = plot.dataset.plotly;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotly = null; reject(new Error("the chart's script could not be loaded")); };
    document.head.append(script);
  }));

  // Columns with an empty row at each gap, so that lines stop there.
  function withGaps(history) {
    const names = Object.keys(history).filter((name) => Array.isArray(history[name]));
    const limit = Math.max(GAP_SECONDS, 3 * (history.step_seconds ?? 0));
    const columns = Object.fromEntries(names.map((name) => [name, []]));
    history.time_unix.forEach((time, i) => {
      if (i && time - history.time_unix[i - 1] > limit) {
        for (const name of names) columns[name].push(name === "time_unix" ? history.time_unix[i - 1] + 1 : null);
      }
      for (const name of names) columns[name].push(history[name][i]);
    });
    return columns;
  }

  // One closed shape for each run of rows that have an interval.
  function bandOf(time, low, high) {
    const [x, y] = [[], []];
    let run = [];
    const close = () => {
      if (run.length) {
        x.push(...run.map((i) => time[i]), ...run.toReversed().map((i) => time[i]), null);
        y.push(...run.map((i) => high[i]), ...run.toReversed().map((i) => low[i]), null);
      }
      run = [];
    };
    time.forEach((_, i) => (low[i] === null || high[i] === null ? close() : run.push(i)));
    close();
    return { x, y };
  }

  function figure({ history, episodes }) {
    const columns = withGaps(history);
    const time = columns.time_unix.map((t) => t * 1000);
    const colour = Object.fromEntries(["paper", "raised", "ink", "soft", "rule", "rule-strong", "onchain", "onchain-tint", "exchange", "alarm"]
      .map((name) => [name, oracle.colour(name)]));
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
    const tickfont = { color: colour.soft };
    const percent = (p) => `${p > 0 ? "+" : "−"}${Math.abs(p)}%`;
    return {
      data: [
        { ...bandOf(time, columns.spot_low_usd, columns.spot_high_usd), fill: "toself", fillcolor: colour["onchain-tint"],
          line: { width: 0 }, hoverinfo: "skip" },
        { x: time, y: columns.spot_usd, name: "On-chain", customdata: about, line: { color: colour.onchain, width: 2 },
          hovertemplate: "%{y:$,.0f} (block %{customdata[0]:,}, confidence %{customdata[1]:.2f}%{customdata[2]})<extra>On-chain</extra>" },
        { x: time, y: columns.exchange_usd, name: "Exchange", line: { color: colour.exchange, width: 1.6, dash: "3px,5px" },
          hovertemplate: "%{y:$,.0f}<extra>Exchange</extra>" },
        { x: time, y: invalid, mode: "markers", hoverinfo: "skip",
          marker: { size: history.step_seconds ? 5 : 7, color: colour.paper, line: { color: colour.onchain, width: 1.5 } } },
        { x: time, y: columns.divergence_percent, yaxis: "y2", name: "Difference", customdata: leg, line: { color: colour.ink, width: 1.4 },
          hovertemplate: "%{y:+.2f}%%{customdata}<extra>Difference</extra>" },
      ].map((trace) => ({ mode: "lines", connectgaps: false, showlegend: false, ...trace })),
      layout: {
        height: 474, margin: { l: 0, r: 0, t: 14, b: 24 }, paper_bgcolor: colour.paper, plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour.soft },
        hovermode: isTouched ? false : "x unified", hoversubplots: "axis", dragmode: isTouched ? false : "zoom", uirevision: history.range,
        hoverlabel: { bgcolor: colour.raised, bordercolor: colour["rule-strong"], font: { color: colour.ink, size: 13 } },
        xaxis: { type: "date", fixedrange: isTouched, range: [start * 1000, end * 1000], showgrid: false, ticks: "outside", ticklen: 5,
          tickcolor: colour["rule-strong"], hoverformat: "%a, %b %-d, %H:%M UTC", anchor: "y2",
          showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "solid", spikecolor: colour["rule-strong"],
          tickformatstops: [{ dtickrange: [null, 8.64e7 - 1], value: "%b %-d, %H:%M" }, { dtickrange: [8.64e7, 2.5e9], value: "%b %-d" },
            { dtickrange: [2.5e9, null], value: "%b %Y" }] },
        yaxis: { domain: [146 / 436, 1], fixedrange: true, tickformat: "$,.0f", ticklabelposition: "inside top", gridcolor: colour.rule, zeroline: false, nticks: 8, tickfont },
        yaxis2: { domain: [0, 110 / 436], range: [-reach, reach], fixedrange: true, ticklabelposition: "inside top", gridcolor: colour.rule,
          zeroline: false, tickfont, tickvals: [-limit, 0, limit], ticktext: [percent(-limit), "0%", percent(limit)] },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: colour.soft, activecolor: colour.ink },
        annotations: [{ text: "Difference from the exchange price", xref: "paper", yref: "paper", x: 0, y: 110 / 436,
          xanchor: "left", yanchor: "bottom", showarrow: false, font: { color: colour.ink, weight: 600 }, borderpad: 0 }],
        shapes: [
          ...episodes.episodes.filter((e) => e.kind === "divergence").map((e) => ({ type: "rect", xref: "x", yref: "y2 domain", y0: 0, y1: 1,
            x0: e.started_at_unix * 1000, x1: (e.ended_at_unix ?? end) * 1000, fillcolor: colour.alarm, opacity: 0.16, line: { width: 0 }, layer: "below" })),
          ...[-limit, limit].map((p) => ({ type: "line", xref: "x domain", yref: "y2", x0: 0, x1: 1, y0: p, y1: p,
            line: { color: colour.alarm, width: 1, dash: "2px,3px" } })),
        ],
      },
    };
  }

  const config = { responsive: true, displaylogo: false, displayModeBar: isTouched ? false : "hover", doubleClick: isTouched ? false : "reset+autosize", modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] };

  async function draw() {
    if (!shown) return;
    const { data, layout } = figure(shown);
    const isFirst = live.hidden;
    live.hidden = false;
    drawn.hidden = true;
    await window.Plotly.react(live, data, layout, config);
    plot.dataset.shown = shown.history.range;
    describe(shown.history);
    if (!isFirst) {
      fitPrices({ xaxis: "kept" }); // a zoom outlives new numbers
      return;
    }
    live.on("plotly_relayout", fitPrices);
    if (!isTouched) return;
    live.addEventListener("pointerdown", readOut);
    live.addEventListener("pointermove", readOut);
  }

  // The chart in words and as a table, in the forms of builder/pages/filters.py

  // Digits of an amount without its sign; like Python, what lies exactly between two goes to the even one.
  function digits(value, places) {
    const amount = Math.abs(value);
    const text = amount.toFixed(places);
    const isBetween = (amount * 2 ** (places + 1)) % 2 === 1;
    return isBetween && /[13579]$/.test(text) ? (amount - 0.5 / 10 ** places).toFixed(places) : text;
  }

  function usd(value) {
    if (value === null) return "–";
    const places = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2;
    return `$${Number(digits(value, places)).toLocaleString("en-US", { minimumFractionDigits: places })}`;
  }

  function percent(value) {
    if (value === null) return "–";
    const text = digits(value, 2);
    return text === "0.00" ? "0.00%" : `${value > 0 ? "+" : "−"}${text}%`;
  }

  const confidence = (value) => (value >= 0.995 ? ">0.99" : digits(value, 2));
  const utc = (t) => `${new Date(t * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;

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
    const words = summary(history);
    live.setAttribute("role", "group");
    live.setAttribute("aria-label", words);
    const table = plot.closest("figure").querySelector("details:last-of-type table");
    const headline = links.find((link) => link.dataset.range === history.range)?.dataset.words ?? history.range;
    table.closest("details").querySelector("p").textContent = words;
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

  // The moment under the finger, by its place between the ends of the time axis.
  function readOut(event) {
    const { history } = shown;
    const area = live.querySelector(".nsewdrag").getBoundingClientRect();
    const [from, to] = live.layout.xaxis.range;
    const asked = (from + (to - from) * ((event.clientX - area.left) / area.width)) / 1000;
    const nearer = (best, t, place) => (Math.abs(t - asked) < Math.abs(history.time_unix[best] - asked) ? place : best);
    const i = history.time_unix.reduce(nearer, 0);
    document.getElementById("readout").textContent = `${utc(history.time_unix[i])}: on-chain ${usd(history.spot_usd[i])} `
      + `(block ${history.height[i].toLocaleString("en-US")}, confidence ${confidence(history.confidence[i])}), `
      + `exchange ${usd(history.exchange_usd[i])}, difference ${percent(history.divergence_percent[i])}`;
  }

  // A zoom along the time axis makes the price axis fit what is left in view.
  function fitPrices(change) {
    const touched = Object.keys(change);
    if (!touched.some((key) => key.startsWith("xaxis")) || touched.some((key) => key.startsWith("yaxis."))) return;
    const [from, to] = live.layout.xaxis.range.map((t) => (typeof t === "number" ? t : Date.parse(`${t.replace(" ", "T")}Z`)) / 1000);
    const { history } = shown;
    const seen = history.time_unix.flatMap((t, i) => (t < from || t > to ? []
      : [history.spot_low_usd[i], history.spot_high_usd[i], history.spot_usd[i], history.exchange_usd[i]].filter((price) => price !== null)));
    if (!seen.length) return;
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    const room = (high - low) * 0.06 || high * 0.01;
    window.Plotly.relayout(live, { "yaxis.range": [low - room, high + room] });
  }

  function mark(range) {
    for (const link of links) {
      if (link.dataset.range === range) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    document.getElementById("chart-title").textContent = links.find((link) => link.dataset.range === range).dataset.words;
    for (const file of document.querySelectorAll('.take a[href^="/api/history/"]')) {
      file.setAttribute("href", file.getAttribute("href").replace(/[^/]+(?=\.\w+$)/, range));
    }
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
    mark(shown?.history.range ?? "7d");
  }

  async function show(range) {
    mark(range);
    plot.setAttribute("aria-busy", "true");
    try {
      const [history, episodes] = await Promise.all([get(`/api/history/${range}.json`), get("/api/episodes.json"), loadPlotly()]);
      if (range !== wanted()) return; // another one was chosen meanwhile
      shown = { history, episodes };
      tell(null);
      await draw();
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
  oracle.themeListeners.push(draw);
  oracle.livePicture = async (button, title) => {
    if (button.dataset.png !== "history" || !shown) return oracle.picture(drawn.querySelector("svg"), title);
    const { data, layout } = figure(shown);
    const [headline, words] = [document.getElementById("chart-title").textContent, plot.dataset.network ? ` (${plot.dataset.network})` : ""];
    Object.assign(layout, { title: { text: `On-chain and exchange price: ${headline.toLowerCase()}${words}`, x: 0.02, font: { size: 18, weight: 600, color: layout.hoverlabel.font.color } },
      margin: { l: 24, r: 24, t: 56, b: 40 }, height: 640 });
    return window.Plotly.toImage({ data, layout }, { format: "png", width: 1200, height: 640, scale: 2 });
  };

  // Plotly is large: it comes when the chart is in view and nothing else is to do, and not on a metered line.
  if (plot) new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    if (navigator.connection?.saveData && wanted() === "7d") return;
    (window.requestIdleCallback ?? setTimeout)(() => show(wanted()));
  }, { rootMargin: "200px" }).observe(plot);

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
      if (shown) show(wanted());
    } catch { /* no connection, or a release changing hands: the next round asks again */ }
    oracle.tellTime();
    oracle.watchClock();
  }

  setInterval(refresh, POLL_SECONDS * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
