// What the charts of days, of one day and of the scorecard show when they come alive.
"use strict";

(() => {
  const { kinds, withGaps, bandOf, timeAxis, dateOf, usd, percent, digits } = oracle.charts;
  const DAY = 86_400_000;
  const HOUR = 3_600_000;
  const noon = (date) => Date.parse(`${date}T12:00Z`);

  // The mean of so many days up to each; none until there are so many.
  function averaged(values, days) {
    return values.map((_, i) => {
      const last = values.slice(Math.max(0, i + 1 - days), i + 1).filter((value) => value !== null);
      return last.length < days ? null : last.reduce((sum, value) => sum + value, 0) / days;
    });
  }

  // Days: of all years, or of the one that the page is about.
  kinds.days = (plot) => {
    const year = plot.dataset.part;
    const of = ({ days }) => days.filter(({ date }) => !year || date.startsWith(year));
    return {
      x: (shown) => of(shown).map(({ date }) => noon(date)),
      day: (shown, i) => of(shown)[i].date,
      words(shown, i) {
        const day = of(shown)[i];
        return `${day.date}: on-chain ${usd(day.price_usd)}${day.is_valid ? "" : ", low confidence"}, exchange ${usd(day.exchange_mean_usd)}, `
          + `difference ${percent(day.divergence_percent)}`;
      },
      figure(shown, colour, { isLog, average }) {
        const days = of(shown);
        const names = ["price_usd", "low_usd", "high_usd", "exchange_mean_usd", "divergence_percent", "is_valid"];
        const all = { time: days.map(({ date }) => noon(date)), ...Object.fromEntries(names.map((name) => [name, days.map((day) => day[name])])) };
        all.average = average ? averaged(all.price_usd, average) : days.map(() => null);
        const columns = withGaps(all, "time", 1.5 * DAY);
        const { time } = columns;
        const doubtful = columns.price_usd.map((price, i) => (columns.is_valid[i] === false ? price : null));
        return {
          data: [
            { ...bandOf(time, columns.low_usd, columns.high_usd), meta: "interval", fill: "toself", fillcolor: colour["onchain-tint"], line: { width: 0 }, hoverinfo: "skip" },
            { x: time, y: columns.price_usd, meta: "price", name: "On-chain", names: true, customdata: columns.divergence_percent.map((p) => (p === null ? "" : `, ${percent(p)}`)),
              line: { color: colour.onchain, width: 2 }, hovertemplate: "%{y:$,.0f}%{customdata}<extra>On-chain</extra>" },
            { x: time, y: columns.exchange_mean_usd, meta: "exchange", name: "Exchange mean", names: true, line: { color: colour.exchange, width: 1.6, dash: "3px,5px" },
              hovertemplate: "%{y:$,.0f}<extra>Exchange mean</extra>" },
            ...(average ? [{ x: time, y: columns.average, meta: "average", name: `Mean of ${average} days`, line: { color: colour.accent, width: 1.6 },
              hovertemplate: `%{y:$,.0f}<extra>Mean of ${average} days</extra>` }] : []),
            { x: time, y: doubtful, meta: "price", mode: "markers", hoverinfo: "skip", marker: { size: 6, color: colour.paper, line: { color: colour.onchain, width: 1.5 } } },
          ],
          layout: { height: 330, uirevision: "days", xaxis: timeAxis({ hoverformat: "%a, %b %-d, %Y", range: [time[0] - DAY / 2, time.at(-1) + DAY / 2] }),
            yaxis: { tickformat: "$,.0f", nticks: 8, type: isLog ? "log" : "linear", ...(isLog ? { dtick: "D2" } : {}) } },
        };
      },
    };
  };

  // One day: its points in cells, all of them together at the right, and what the prices did.
  kinds.day = () => ({
    isFixed: true,
    subplots: ["xy"],
    x: ({ hours }) => hours.time_unix.map((t) => t * 1000 + HOUR / 2),
    words: ({ hours }, i) => `${new Date(hours.time_unix[i] * 1000).toISOString().slice(11, 16)} UTC: spot first ${usd(hours.spot_open_usd[i])}, highest ${usd(hours.spot_high_usd[i])}, `
      + `lowest ${usd(hours.spot_low_usd[i])}, last ${usd(hours.spot_close_usd[i])}, exchange ${usd(hours.exchange_usd[i])}`,
    figure(day, colour) {
      const grid = day.density;
      const start = Date.parse(`${day.date}T00:00Z`);
      const ms = (times) => times.map((t) => t * 1000);
      const data = [];
      if (grid) {
        const rows = grid.counts[0].map((_, i) => grid.low_usd + (i + 0.5) * grid.step_usd);
        const columns = grid.counts.map((_, i) => (grid.first_unix + (i + 0.5) * grid.step_seconds) * 1000);
        const clear = colour.onchain.replace(/^rgba?\(([^,]+,[^,]+,[^,)]+).*/, "rgba($1, 0)");
        data.push({ type: "heatmap", meta: "points", x: columns, y: rows, z: rows.map((_, row) => grid.counts.map((column) => Math.sqrt(column[row]))),
          text: rows.map((_, row) => grid.counts.map((column) => `${column[row]} points`)), hovertemplate: "%{text}<extra>near %{y:$,.0f}</extra>",
          colorscale: [[0, clear], [1, colour.onchain]], showscale: false, mode: undefined,
          xgap: 0.5, ygap: 0.5 }); // without gaps it is a small image made large, which needs a style that our policy refuses
        data.push({ type: "bar", meta: "points", orientation: "h", xaxis: "x2", y: rows, x: rows.map((_, row) => grid.counts.reduce((sum, column) => sum + column[row], 0)),
          marker: { color: colour["onchain-tint-strong"] }, hovertemplate: "%{x:,} points<extra>near %{y:$,.0f}</extra>", mode: undefined });
      }
      const across = [start, start + DAY];
      if (day.low_usd !== null) {
        data.push({ ...bandOf(across, [day.low_usd, day.low_usd], [day.high_usd, day.high_usd]), meta: "interval", fill: "toself", fillcolor: colour["onchain-tint"], line: { width: 0 }, hoverinfo: "skip" });
      }
      if (day.price_usd !== null) {
        data.push({ x: across, y: [day.price_usd, day.price_usd], meta: "price", name: "Price of the day", names: true, line: { color: colour.onchain, width: 2 }, hoverinfo: "skip" });
      }
      const { hours } = day;
      data.push({ type: "candlestick", meta: "candle", name: "Hours of spot", x: hours.time_unix.map((t) => t * 1000 + HOUR / 2), open: hours.spot_open_usd, high: hours.spot_high_usd,
        low: hours.spot_low_usd, close: hours.spot_close_usd, increasing: { line: { color: colour.ink, width: 1 }, fillcolor: colour.paper },
        decreasing: { line: { color: colour.ink, width: 1 }, fillcolor: colour.soft }, mode: undefined, connectgaps: undefined });
      data.push({ x: ms(day.spot.time_unix), y: day.spot.spot_usd, meta: "spot", name: "Spot", customdata: day.spot.height, line: { color: colour.ink, width: 1.6 },
        hovertemplate: "%{y:$,.0f} (block %{customdata:,})<extra>Spot</extra>" });
      data.push({ x: ms(day.quotes.time_unix), y: day.quotes.price_usd, meta: "exchange", name: "Exchange", line: { color: colour.exchange, width: 1.6, dash: "3px,5px" },
        hovertemplate: "%{y:$,.0f}<extra>Exchange</extra>" });
      const high = grid && grid.low_usd + grid.counts[0].length * grid.step_usd;
      return {
        data,
        layout: { height: 400, uirevision: day.date, bargap: 0, xaxis: timeAxis({ domain: [0, 0.86], range: across, rangeslider: { visible: false }, tickformat: "%H:%M", tickformatstops: [] }),
          xaxis2: { domain: [0.865, 1], showticklabels: false, showgrid: false, zeroline: false, fixedrange: true },
          yaxis: { tickformat: "$,.0f", nticks: 8, anchor: "x2", ...(grid ? { range: [grid.low_usd, high] } : {}) } },
      };
    },
  });

  // Amounts and the stencil over them.
  kinds.histogram = () => ({
    isFixed: true,
    x: ({ stencil }) => (stencil ? [...new Map(stencil.amounts.map((spike) => [spike.usd, Math.log10(spike.value_btc)])).values()] : []),
    words({ stencil }, i) {
      const spike = [...new Map(stencil.amounts.map((one) => [one.usd, one])).values()][i];
      return `${usd(spike.usd)}: ${spike.value_btc.toFixed(8).replace(/0+$/, "")} BTC`;
    },
    figure({ histogram, stencil }, colour) {
      const { first_bin: first, bins_per_decade: decade, first_decade: lowest, weights } = histogram;
      const place = (bin) => lowest + (bin - 1) / decade;
      const most = Math.max(...weights, 1e-9);
      const bins = weights.map((_, i) => place(first + i));
      const btc = bins.map((x) => `${(10 ** x).toPrecision(4)} BTC`);
      const amounts = stencil?.amounts ?? [];
      const heaviest = Math.max(...amounts.map(({ weight }) => weight), 1e-9);
      const stems = { x: [], y: [], text: [] };
      for (const { bin, usd: dollars, weight } of amounts) {
        const top = most * 1.02;
        stems.x.push(place(bin + 0.5), place(bin + 0.5), null);
        stems.y.push(top, top * (1 - 0.5 * (weight / heaviest)), null);
        stems.text.push(usd(dollars), usd(dollars), "");
      }
      const from = stencil ? Math.max(first, stencil.first_bin) : first;
      const heavy = new Map(amounts.toSorted((a, b) => a.weight - b.weight).map((spike) => [spike.usd, spike.bin]));
      const isNarrow = matchMedia("(max-width: 46rem)").matches; // no room for all
      const rowOf = (dollars) => ({ 1: 16, 15: 30 })[String(dollars).replace(/0+$/, "")] ?? 2;
      const names = [...heavy].filter(([dollars, bin]) => bin > from && (!isNarrow || rowOf(dollars) === 16)).map(([dollars, bin]) => ({ text: `$${dollars.toLocaleString("en-US")}`, x: place(bin + 0.5), y: 1, yref: "paper",
        yanchor: "bottom", yshift: rowOf(dollars), showarrow: false, font: { color: colour.accent, weight: 600 } }));
      return {
        data: [
          { x: bins, y: weights, meta: "outputs", name: "Outputs", customdata: btc, fill: "tozeroy", fillcolor: colour["onchain-tint-strong"], line: { color: colour.onchain, width: 1, shape: "hv" },
            hovertemplate: "%{y:.3%} from %{customdata} on<extra></extra>" },
          { ...stems, meta: "stencil", name: "Stencil", line: { color: colour.accent, width: 1.6 }, hovertemplate: "%{text}<extra>stencil</extra>" },
        ],
        layout: { height: 372, margin: { l: 0, r: 68, t: 46, b: 24 }, annotations: names, uirevision: "histogram", hovermode: "closest", xaxis: { range: [place(from), Math.min(place(from + 830), bins.at(-1) ?? 0)], tickvals: [-5, -4, -3, -2, -1, 0, 1],
          ticktext: ["0.00001 BTC", "0.0001 BTC", "0.001 BTC", "0.01 BTC", "0.1 BTC", "1 BTC", "10 BTC"] }, yaxis: { tickformat: ".1%", nticks: 5, range: [0, most * 1.02] } },
      };
    },
  });

  // The scorecard.
  kinds.errors = (plot) => {
    const limit = Number(plot.dataset.part);
    const kept = (h) => h.time_unix.map((_, i) => i).filter((i) => h.divergence_percent[i] !== null && h.is_valid[i]);
    return {
      x: (history) => kept(history).map((i) => history.time_unix[i] * 1000),
      day: (history, i) => dateOf(history.time_unix[kept(history)[i]] * 1000),
      words: (history, i) => `${oracle.charts.utc(history.time_unix[kept(history)[i]])}: difference ${percent(history.divergence_percent[kept(history)[i]])}`,
      figure: (history, colour) => ({
        data: [{ x: kept(history).map((i) => history.time_unix[i] * 1000), y: kept(history).map((i) => history.divergence_percent[i]), meta: "difference", name: "Difference", mode: "markers",
          marker: { size: 4, color: colour.onchain, opacity: 0.5 }, hovertemplate: "%{y:+.2f}%<extra></extra>" }],
        layout: { height: 260, uirevision: "errors", hovermode: "closest", xaxis: timeAxis(), yaxis: { ticksuffix: "%", nticks: 6 },
          shapes: [-limit, limit].map((y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour.alarm, width: 1, dash: "2px,3px" } })) },
      }),
    };
  };

  kinds.spread = (plot) => {
    const [leg, limit] = plot.dataset.part.split(" ");
    const spread = (card) => card.legs[leg].distribution;
    const middles = (card) => spread(card).counts.map((_, i) => (spread(card).edges_percent[i] + spread(card).edges_percent[i + 1]) / 2);
    const between = (card, i) => {
      const { edges_percent: edges } = spread(card);
      if (i === 0) return `below ${percent(edges[1])}`;
      return i === edges.length - 2 ? `from ${percent(edges[i])} on` : `${percent(edges[i])} to ${percent(edges[i + 1])}`;
    };
    return {
      isFixed: true,
      x: middles,
      words: (card, i) => `${between(card, i)}: ${spread(card).counts[i].toLocaleString("en-US")} times`,
      figure: (card, colour) => ({
        data: [{ type: "bar", x: middles(card), y: spread(card).counts, name: "Times", customdata: middles(card).map((_, i) => between(card, i)), marker: { color: colour.onchain, opacity: 0.75 },
          hovertemplate: "%{customdata}: %{y:,} times<extra></extra>", mode: undefined, connectgaps: undefined }],
        layout: { height: 220, uirevision: leg, hovermode: "closest", bargap: 0.06, xaxis: { ticksuffix: "%", nticks: 9 }, yaxis: { nticks: 4, rangemode: "tozero" },
          shapes: [-limit, Number(limit)].map((x) => ({ type: "line", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { color: colour.alarm, width: 1, dash: "2px,3px" } })) },
      }),
    };
  };

  kinds.reliability = () => ({
    isFixed: true,
    x: ({ reliability }) => reliability.map((bin) => bin.said_share),
    words: ({ reliability }, i) => `It said ${digits(100 * reliability[i].said_share, 0)}%, ${digits(100 * reliability[i].right_share, 0)}% of ${reliability[i].n.toLocaleString("en-US")} were right`,
    figure: ({ reliability }, colour) => ({
      data: [{ x: [0, 1], y: [0, 1], hoverinfo: "skip", line: { color: colour.alarm, width: 1, dash: "2px,3px" } },
        { x: reliability.map((bin) => bin.said_share), y: reliability.map((bin) => bin.right_share), customdata: reliability.map((bin) => bin.n), name: "Right", mode: "markers",
          marker: { size: 9, color: colour.onchain }, hovertemplate: "said %{x:.0%}, right %{y:.0%} of %{customdata:,}<extra></extra>" }],
      layout: { height: 220, uirevision: "reliability", hovermode: "closest", xaxis: { range: [0, 1.04], tickformat: ".0%", fixedrange: true }, yaxis: { range: [0, 1.04], tickformat: ".0%", nticks: 5 } },
    }),
  });

  oracle.charts.enliven();
})();
