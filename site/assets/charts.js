// Drawn charts come alive: hover, zoom, keys, a legend that switches lines. What a chart shows stands in the script of
// its page; pages are complete without any of it.
"use strict";

oracle.charts = (() => {
  // A finger has no hover and taps twice by chance: what it touches is read out below, and moves no axis.
  const isTouched = matchMedia("(pointer: coarse)").matches;
  const COLOURS = ["paper", "raised", "ink", "soft", "rule", "rule-strong", "onchain", "onchain-tint", "onchain-tint-strong", "exchange", "accent", "alarm"];
  const STEP_KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
  const HINT = "Left and right read a moment out, plus and minus zoom, 0 shows all";
  let plotly = null; // a promise once it is wanted

  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-cache" }); // asks with the ETag it has; unchanged costs a header
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  };
  const loadPlotly = () => (plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.body.dataset.plotly;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => { plotly = null; reject(new Error("the chart's script could not be loaded")); };
    document.head.append(script);
  }));
  const palette = () => Object.fromEntries(COLOURS.map((name) => [name, oracle.colour(name)]));

  // Numbers in the forms of builder/pages/filters.py

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
  const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

  // Columns with an empty row at each gap of the first of them, so that lines stop there.
  function withGaps(columns, time, longest) {
    const names = Object.keys(columns).filter((name) => Array.isArray(columns[name]));
    const made = Object.fromEntries(names.map((name) => [name, []]));
    columns[time].forEach((at, i) => {
      if (i && at - columns[time][i - 1] > longest) {
        for (const name of names) made[name].push(name === time ? columns[time][i - 1] + 1 : null);
      }
      for (const name of names) made[name].push(columns[name][i]);
    });
    return made;
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

  // What all charts have in common; values stand beside the lines, not on them.
  function dressed(colour, { data, layout }) {
    const tickfont = { color: colour.soft };
    const axis = { fixedrange: true, gridcolor: colour.rule, zeroline: false, tickfont, side: "right" };
    const made = {
      margin: { l: 0, r: 68, t: 14, b: 24 }, paper_bgcolor: colour.paper, plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour.soft }, showlegend: false,
      hovermode: isTouched ? false : "x unified", hoversubplots: "axis", dragmode: isTouched ? false : "zoom",
      hoverlabel: { bgcolor: colour.raised, bordercolor: colour["rule-strong"], font: { color: colour.ink, size: 13 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour.soft, activecolor: colour.ink },
      ...layout,
      xaxis: { fixedrange: isTouched, showgrid: false, ticks: "outside", ticklen: 5, tickcolor: colour["rule-strong"], showspikes: true,
        spikemode: "across", spikethickness: 1, spikedash: "solid", spikecolor: colour["rule-strong"], zeroline: false, ...layout.xaxis },
    };
    for (const name of Object.keys(layout)) if (/^yaxis/.test(name)) made[name] = { ...axis, ...layout[name] };
    made.yaxis ??= axis;
    return { data: data.map((trace) => ({ mode: "lines", connectgaps: false, showlegend: false, ...trace })), layout: made };
  }

  const timeAxis = (more) => ({ type: "date", hoverformat: "%a, %b %-d, %H:%M UTC",
    tickformatstops: [{ dtickrange: [null, 8.64e7 - 1], value: "%b %-d, %H:%M" }, { dtickrange: [8.64e7, 2.5e9], value: "%b %-d" },
      { dtickrange: [2.5e9, null], value: "%b %Y" }], ...more });

  const moment = (t) => (typeof t === "number" ? t : Date.parse(`${t.replace(" ", "T")}Z`));
  const config = { responsive: true, displaylogo: false, displayModeBar: isTouched ? false : "hover", doubleClick: isTouched ? false : "reset+autosize",
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] };

  // A chart in the making: `.plot` with the drawn one in it.
  //   figure(shown, colour, chosen): data and layout for Plotly; a trace's or shape's `meta` or `name` is its key in the legend
  //   x(shown): places along the axis, in order; words(shown, i): what is there; day(shown, i): the date it leads to
  class Living {
    constructor(plot, spec) {
      Object.assign(this, { plot, spec, shown: null, hidden: new Set(), cursor: null });
      this.drawn = plot.querySelector(".drawn");
      this.live = plot.querySelector(".live");
      this.around = plot.closest("figure");
      this.readout = this.around.querySelector(".readout");
      oracle.themeListeners.push(() => this.draw());
      for (const control of this.around.querySelectorAll(".controls :is(input, select)")) {
        control.addEventListener("change", () => this.draw());
      }
    }

    // What the reader has chosen beside the chart.
    chosen() {
      const controls = this.around.querySelector(".controls");
      return { isLog: controls?.querySelector("[name=log]")?.checked ?? false, average: Number(controls?.querySelector("[name=average]")?.value ?? 0) };
    }

    figure(more = {}) {
      const colour = palette();
      const made = dressed(colour, this.spec.figure(this.shown, colour, this.chosen()));
      made.data = made.data.filter((trace) => !this.hidden.has(trace.meta));
      made.layout.shapes = (made.layout.shapes ?? []).filter((shape) => !this.hidden.has(shape.name));
      made.layout.annotations = [...(made.layout.annotations ?? []), ...this.newest(made, colour)];
      Object.assign(made.layout, more);
      return made;
    }

    // The last value of each line that names it stands beside the chart, where there is room for it.
    newest({ data, layout }, colour) {
      const isLog = layout.yaxis.type === "log";
      const named = [];
      for (const trace of data.filter((one) => one.names)) {
        const value = trace.y.findLast((y) => y !== null);
        if (value === undefined || named.some((other) => Math.abs(other / value - 1) < 0.004)) continue;
        named.push(value);
      }
      return named.map((value, i) => ({ text: usd(value), x: 1, xref: "paper", xanchor: "left", xshift: 4, y: isLog ? Math.log10(value) : value,
        yref: "y", showarrow: false, bgcolor: colour.paper, borderpad: 1, font: { weight: 650, color: i ? colour.exchange : colour.onchain } }));
    }

    async show(shown) {
      await loadPlotly();
      this.shown = shown;
      await this.draw();
    }

    async draw() {
      if (!this.shown) return;
      const isFirst = this.live.hidden;
      this.live.hidden = false;
      this.drawn.hidden = true;
      const { data, layout } = this.figure();
      await window.Plotly.react(this.live, data, layout, config);
      this.live.setAttribute("role", "group");
      this.live.setAttribute("aria-label", this.spec.label?.(this.shown) ?? this.drawn.getAttribute("aria-label"));
      this.live.tabIndex = 0;
      if (isFirst) this.begin();
      else this.fit(); // a zoom outlives new numbers
      this.plot.dataset.shown = this.spec.shown?.(this.shown) ?? "yes";
    }

    begin() {
      const { live } = this;
      live.on("plotly_relayout", (change) => this.moved(change));
      live.addEventListener("keydown", (event) => this.key(event));
      live.addEventListener("focus", () => { if (this.cursor === null) this.say(`${HINT}${this.spec.day ? ", Enter opens the day" : ""}.`); });
      if (isTouched) {
        live.addEventListener("pointerdown", (event) => this.touch(event));
        live.addEventListener("pointermove", (event) => this.touch(event));
      } else if (this.spec.day) {
        this.clicks();
      }
      this.switches();
      this.zoomAsAsked();
    }

    // A click leads to the day, but not the first of two, which show all, nor the end of a drag.
    clicks() {
      const { live } = this;
      let [start, moved, waiting] = [[0, 0], 0, null];
      live.addEventListener("pointerdown", (event) => { start = [event.clientX, event.clientY]; }, true);
      // Plotly covers the page during a drag: its end is seen by the window alone.
      addEventListener("pointerup", (event) => { moved = Math.hypot(event.clientX - start[0], event.clientY - start[1]); }, true);
      live.on("plotly_doubleclick", () => clearTimeout(waiting));
      live.on("plotly_click", ({ points }) => {
        clearTimeout(waiting);
        if (moved > 4) return;
        waiting = setTimeout(() => this.open(this.nearest(moment(points[0].x))), 350);
      });
    }

    // The keys of the legend become buttons that switch what they stand for.
    switches() {
      for (const item of this.around.querySelectorAll(".legend li[data-key]")) {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", "true");
        button.append(...item.childNodes);
        item.append(button);
        button.addEventListener("click", () => {
          const isOn = !this.hidden.delete(item.dataset.key);
          if (isOn) this.hidden.add(item.dataset.key);
          button.setAttribute("aria-pressed", String(!isOn));
          this.draw();
        });
      }
    }

    range() {
      return this.live.layout.xaxis.range.map(moment);
    }

    // A zoom along the axis makes the price axis fit what is left in view, and stands in the address.
    moved(change) {
      const touched = Object.keys(change);
      if (!touched.some((key) => key.startsWith("xaxis.")) || touched.some((key) => key.startsWith("yaxis."))) return;
      this.fit();
      this.remember(touched.some((key) => key.startsWith("xaxis.range")) && !("xaxis.autorange" in change));
    }

    fit() {
      if (this.spec.isFixed) return;
      const [from, to] = this.range();
      const { data, layout } = this.live;
      const seen = data.filter((trace) => !trace.yaxis || trace.yaxis === "y").flatMap((trace) => (trace.type && trace.type !== "scatter" ? []
        : Array.from(trace.x ?? []).flatMap((x, i) => (x === null || trace.y[i] === null || moment(x) < from || moment(x) > to ? [] : [trace.y[i]]))));
      if (!seen.length) return;
      const isLog = layout.yaxis.type === "log";
      const ends = [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))].map((value) => (isLog ? Math.log10(value) : value));
      const room = (ends[1] - ends[0]) * 0.06 || Math.abs(ends[1]) * 0.01;
      window.Plotly.relayout(this.live, { "yaxis.range": [ends[0] - room, ends[1] + room] });
    }

    remember(isZoomed) {
      if (!this.plot.hasAttribute("data-address")) return;
      const address = new URL(location.href);
      const ends = this.range().map((ms) => new Date(ms).toISOString().slice(0, 16));
      for (const [name, end] of [["from", ends[0]], ["to", ends[1]]]) {
        if (isZoomed) address.searchParams.set(name, end);
        else address.searchParams.delete(name);
      }
      history.replaceState(history.state, "", address);
    }

    zoomAsAsked() {
      if (!this.plot.hasAttribute("data-address")) return;
      const asked = new URLSearchParams(location.search);
      const ends = ["from", "to"].map((name) => Date.parse(`${asked.get(name)}Z`));
      if (ends.every(Number.isFinite) && ends[0] < ends[1]) window.Plotly.relayout(this.live, { "xaxis.range": ends });
    }

    // Keys and fingers

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const count = this.spec.x(this.shown).length;
      if (event.key in STEP_KEYS && count) {
        const start = this.cursor ?? (STEP_KEYS[event.key] < 0 ? count : -1);
        this.point(Math.min(count - 1, Math.max(0, start + STEP_KEYS[event.key] * (event.shiftKey ? 10 : 1))));
      } else if (event.key === "Enter" && this.cursor !== null && this.spec.day) this.open(this.cursor);
      else if (["+", "=", "-"].includes(event.key)) this.zoom(event.key === "-" ? 2 : 0.5);
      else if (["0", "Escape"].includes(event.key)) this.whole();
      else return;
      event.preventDefault();
    }

    point(i) {
      this.cursor = i;
      this.say(this.spec.words(this.shown, i), i);
      const [from, to] = this.range();
      const at = this.spec.x(this.shown)[i];
      if (at < from || at > to) window.Plotly.relayout(this.live, { "xaxis.range": [at - (to - from) / 2, at + (to - from) / 2] });
      if (!isTouched) window.Plotly.Fx.hover(this.live, { xval: at }, this.spec.subplots ?? ["xy"]);
    }

    zoom(factor) {
      const [from, to] = this.range();
      const middle = this.cursor === null ? (from + to) / 2 : this.spec.x(this.shown)[this.cursor];
      window.Plotly.relayout(this.live, { "xaxis.range": [middle - (middle - from) * factor, middle + (to - middle) * factor] });
    }

    async whole() {
      const { xaxis } = this.figure().layout;
      await window.Plotly.relayout(this.live, xaxis.range ? { "xaxis.range": xaxis.range } : { "xaxis.autorange": true });
      this.remember(false);
    }

    nearest(asked) {
      return this.spec.x(this.shown).reduce((best, at, i, all) => (Math.abs(at - asked) < Math.abs(all[best] - asked) ? i : best), 0);
    }

    // What is under the finger, by its place between the ends of the axis.
    touch(event) {
      const area = this.live.querySelector(".nsewdrag").getBoundingClientRect();
      const [from, to] = this.range();
      this.cursor = this.nearest(from + (to - from) * ((event.clientX - area.left) / area.width));
      this.say(this.spec.words(this.shown, this.cursor), this.cursor);
    }

    say(words, i = null) {
      if (!this.readout) return;
      this.readout.classList.remove("needs-touch");
      const day = i !== null && this.spec.day?.(this.shown, i);
      const parts = [words];
      if (day) parts.push(" ", Object.assign(document.createElement("a"), { href: `/days/${day}/`, textContent: `The day` }));
      this.readout.replaceChildren(...parts);
    }

    // Not every moment has a final day yet.
    async open(i) {
      const day = this.spec.day(this.shown, i);
      const answer = await fetch(`/days/${day}/`, { method: "HEAD" }).catch(() => null);
      if (answer?.ok) location.assign(`/days/${day}/`);
      else this.say(`${day} is not final yet: it has no page.`);
    }

    // The chart as a PNG, with what one needs to know where it goes.
    picture(title) {
      const colour = palette();
      const { data, layout } = this.figure();
      for (const trace of data) if (trace.name && trace.hoverinfo !== "skip") trace.showlegend = true;
      Object.assign(layout, { title: { text: title, x: 0.02, font: { size: 18, weight: 600, color: colour.ink } }, width: 1200, height: 640,
        showlegend: true, legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { color: colour.ink } }, margin: { l: 24, r: 84, t: 88, b: 64 } });
      layout.annotations = [...(layout.annotations ?? []), { text: oracle.sourceLine(), xref: "paper", yref: "paper", x: 0, y: 0, yshift: -46, xanchor: "left",
        yanchor: "bottom", showarrow: false, font: { color: colour.soft, size: 12 } }];
      return window.Plotly.toImage({ data, layout }, { format: "png", width: 1200, height: 640, scale: 2 });
    }
  }

  const kinds = {};
  const living = new Map();

  // Plotly is large: it comes when a chart is in view and nothing else is to do, and not on a metered line.
  function whenSeen(plot, begin, isWanted = false) {
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      if (navigator.connection?.saveData && !isWanted) return;
      (window.requestIdleCallback ?? setTimeout)(begin);
    }, { rootMargin: "200px" }).observe(plot);
  }

  // Somebody is there: Plotly takes a phone seconds of work, which a page that is only looked at does without.
  const reader = new Promise((resolve) => {
    for (const sign of ["pointermove", "pointerdown", "touchstart", "keydown", "wheel", "scroll", "focusin"]) {
      addEventListener(sign, resolve, { once: true, passive: true }); // what a part scrolls by itself does not come so far
    }
  });

  // The charts of a page whose kinds its script knows.
  function enliven() {
    for (const plot of document.querySelectorAll(".plot[data-chart]")) {
      const spec = kinds[plot.dataset.chart]?.(plot);
      if (!spec) continue;
      const one = new Living(plot, spec);
      living.set(plot, one);
      const isAsked = new URLSearchParams(location.search).has("from");
      const begin = async () => {
        if (!isAsked) await reader;
        try {
          await one.show(await get(plot.dataset.source));
        } catch (problem) {
          plot.dataset.problem = String(problem); // what is drawn stays
        }
      };
      whenSeen(plot, begin, isAsked);
    }
  }

  return { Living, kinds, living, enliven, whenSeen, get, withGaps, bandOf, timeAxis, dateOf, usd, percent, confidence, utc, digits };
})();
