// The published method once more, in the reader's browser: from amounts to the price. It is written from the rules of
// docs/algorithm.md, step by step as there, and shares no line with the program that made the site: sums run left to
// right, one term at a time, so that it finds the same number to the last digit.
"use strict";

oracle.method = (() => {
  const SATS = 1e8;
  const [FIRST_KEPT, LAST_KEPT, CAP] = [201, 1600, 0.008];
  const ROUND_BINS = [201, 401, 461, 496, 540, 601, 661, 696, 740, 801, 861, 896, 940, 1001, 1061, 1096, 1140, 1201];
  const [FIRST_SLIDE, LAST_SLIDE, LAST_SMOOTH, ORIGIN, PRICE_ORIGIN] = [-141, 200, 149, 199, 601];
  const USD = [5, 10, 15, 20, 25, 30, 40, 50, 100, 150, 200, 300, 500, 1000];
  const LADDERS = [[0.00005, 0.0001, 0.00001], [0.0001, 0.001, 0.00001], [0.001, 0.01, 0.0001], [0.01, 0.1, 0.001], [0.1, 1.0, 0.01]];
  // Bin of the stencil, weight, the dollar amount it stands for
  const SPIKES = [
    [40, 0.001300198324984352, 1], [141, 0.001676746949820743, 5], [201, 0.003468805546942046, 10],
    [202, 0.001991977522512513, 10], [236, 0.001905066647961839, 15], [261, 0.003341772718156079, 20],
    [262, 0.002588902624584287, 20], [296, 0.002577893841190244, 30], [297, 0.002733728814200412, 30],
    [340, 0.003076117748975647, 50], [341, 0.005613067550103145, 50], [342, 0.003088253178535568, 50],
    [400, 0.002918457489366139, 100], [401, 0.006174500465286022, 100], [402, 0.004417068070043504, 100],
    [403, 0.002628663628020371, 100], [436, 0.002858828161543839, 150], [461, 0.004097463611984264, 200],
    [462, 0.003345917406120509, 200], [496, 0.002521467726855856, 300], [497, 0.002784125730361008, 300],
    [541, 0.003792850444811335, 500], [601, 0.003688240815848247, 1000], [602, 0.002392400117402263, 1000],
    [636, 0.001280993059008106, 1500], [661, 0.001654665137536031, 2000], [662, 0.001395501347054946, 2000],
    [741, 0.001154279140906312, 5000], [801, 0.000832244504868709, 10000],
  ];

  // 2401 lower edges in BTC: zero, then 200 a factor of ten. Powers of ten are written, not worked out: amounts lie on them.
  const EDGES = [0];
  for (let decade = -6; decade < 6; decade += 1) {
    for (let place = 0; place < 200; place += 1) EDGES.push(place ? 10 ** (decade + place / 200) : Number(`1e${decade}`));
  }
  const SMOOTH = Array.from({ length: 803 }, (_, x) => 0.0015 * 2.718281828459045 ** (-((x - 411) ** 2) / (2 * 201 ** 2)) + 0.0000005 * x);
  const ROUNDS = LADDERS.flatMap(([first, below, step]) => {
    const found = [];
    for (let amount = first; amount < below; amount += step) found.push([amount - 0.0001 * amount, amount + 0.0001 * amount]);
    return found;
  });

  // The last place whose value is at or below what is asked (or strictly below).
  function lastBelow(count, isBelow) {
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBelow(middle)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  const binOf = (btc) => lastBelow(EDGES.length, (i) => EDGES[i] <= btc);

  function isRound(btc) {
    const place = lastBelow(ROUNDS.length, (i) => ROUNDS[i][0] < btc);
    return place >= 0 && btc < ROUNDS[place][1];
  }

  // Amounts in sats from the file of a day: differences, seven bits a byte, the lowest first.
  function amountsOf(bytes) {
    const found = [];
    let [sum, value, scale] = [0, 0, 1];
    for (const byte of bytes) {
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) {
        sum += value;
        found.push(sum);
        [value, scale] = [0, 1];
      }
    }
    return found;
  }

  // Step 3: shares by bin, without round amounts of bitcoin, none above the cap; null where there is no output.
  function histogram(sats) {
    const shares = new Float64Array(EDGES.length);
    for (const amount of sats) shares[binOf(amount / SATS)] += 1;
    shares.fill(0, 0, FIRST_KEPT);
    shares.fill(0, LAST_KEPT + 1);
    for (const bin of ROUND_BINS) shares[bin] = 0.5 * (shares[bin - 1] + shares[bin + 1]);
    let total = 0;
    for (let bin = FIRST_KEPT; bin <= LAST_KEPT; bin += 1) total += shares[bin];
    if (!(total > 0)) return null;
    return shares.map((share) => Math.min(share / total, CAP));
  }

  function spikeScore(shares, slide) {
    let sum = 0;
    for (const [bin, weight] of SPIKES) sum += shares[ORIGIN + slide + bin] * weight;
    return sum;
  }

  // Step 5: how well the stencils fit with the slice of a slide.
  function score(shares, slide) {
    const spikes = spikeScore(shares, slide);
    if (slide > LAST_SMOOTH) return spikes;
    let smooth = 0;
    for (let x = 0; x < SMOOTH.length; x += 1) smooth += shares[ORIGIN + slide + x] * SMOOTH[x];
    return spikes + smooth * 0.65;
  }

  const slidePrice = (slide) => 100 / EDGES[PRICE_ORIGIN + slide];

  function roughPrice(shares) {
    let [best, highest, total] = [null, 0, 0];
    for (let slide = FIRST_SLIDE; slide <= LAST_SLIDE; slide += 1) {
      const here = score(shares, slide);
      total += here;
      if (here > highest) [best, highest] = [slide, here];
    }
    if (best === null) return null;
    const [below, above] = [spikeScore(shares, best - 1), spikeScore(shares, best + 1)];
    const neighbour = below > above ? best - 1 : best + 1;
    const mean = total / (LAST_SLIDE - FIRST_SLIDE + 1);
    const [a1, a2] = [highest - mean, Math.abs(Math.max(below, above) - mean)];
    if (!(a1 + a2 > 0)) return null;
    return Math.trunc((a1 / (a1 + a2)) * slidePrice(best) + (a2 / (a1 + a2)) * slidePrice(neighbour));
  }

  // Step 6: amounts within a quarter of a round dollar amount, as prices.
  function points(sats, rough) {
    const found = [];
    for (const amount of sats) {
      const btc = amount / SATS;
      if (isRound(btc)) continue;
      for (const usd of USD) {
        const expected = usd / rough;
        if (expected - 0.25 * expected < btc && btc < expected + 0.25 * expected) found.push(usd / btc);
      }
    }
    return found;
  }

  // Step 7: the point with the least total distance to all others within 5% of the rough price.
  function central(prices) {
    const x = Float64Array.from(prices).sort();
    const sums = new Float64Array(x.length);
    x.reduce((sum, price, i) => (sums[i] = sum + price), 0);
    let [best, least] = [null, Infinity];
    x.forEach((price, i) => {
      const distance = price * i - (i ? sums[i - 1] : 0) + (sums.at(-1) - sums[i] - price * (x.length - i - 1));
      if (distance < least) [best, least] = [price, distance];
    });
    return best;
  }

  // The price of amounts in sats, or null where there is none.
  function price(sats) {
    const shares = histogram(sats);
    const rough = shares && roughPrice(shares);
    if (!rough) return null;
    const reach = 0.05 * rough;
    return central(points(sats, rough).filter((point) => point > rough - reach && point < rough + reach));
  }

  return { FIRST_KEPT, FIRST_SLIDE, LAST_SLIDE, ORIGIN, SPIKES, EDGES, amountsOf, histogram, score, slidePrice, price };
})();

// A day checks itself.
for (const check of document.querySelectorAll("[data-check]")) {
  const said = check.querySelector("output");
  check.querySelector("button").addEventListener("click", async ({ target }) => {
    target.disabled = true;
    said.textContent = "Working …";
    try {
      const [bytes, day] = await Promise.all([check.dataset.check, check.dataset.day].map(async (path) => {
        const answer = await fetch(path, { cache: "no-cache" });
        if (!answer.ok) throw new Error(`${path} could not be had (${answer.status})`);
        return path.endsWith(".json") ? answer.json() : new Uint8Array(await answer.arrayBuffer());
      }));
      const amounts = oracle.method.amountsOf(bytes);
      const found = oracle.method.price(amounts);
      const isEqual = found === day.price_usd && amounts.length === day.outputs;
      const words = (usd) => (usd === null ? "no price" : `$${usd}`);
      said.dataset.equal = String(isEqual);
      said.textContent = isEqual
        ? `Equal. From ${amounts.length.toLocaleString("en-US")} amounts this browser found ${words(found)}, as published, to the last digit.`
        : `Not equal. From ${amounts.length.toLocaleString("en-US")} amounts this browser found ${words(found)}; published are ${words(day.price_usd)} from ${day.outputs.toLocaleString("en-US")}.`;
    } catch (problem) {
      said.textContent = `It could not be checked: ${problem.message}.`;
    }
    target.disabled = false;
  });
}
