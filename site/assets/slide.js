// The stencil under the reader's hand: it moves over the published histogram, and says how well it fits where it stands.
"use strict";

for (const figure of document.querySelectorAll(".sliding")) {
  const slider = figure.querySelector("input");
  const said = figure.querySelector("output");
  const [stencil, marker] = [".stencil", ".best"].map((name) => figure.querySelector(`path${name}`));
  const best = Number(slider.dataset.best);
  const { FIRST_KEPT, EDGES, score, slidePrice } = oracle.method;
  const SHOWN_BINS = 1200; // as in builder/pages/charts/steps.py
  let shares = null;

  // The published shares, at their places among all bins.
  const load = async () => {
    const { histogram } = await (await fetch(figure.dataset.source, { cache: "no-cache" })).json();
    const all = new Float64Array(EDGES.length);
    all.set(histogram.weights, FIRST_KEPT);
    return all;
  };

  async function slide() {
    const at = Number(slider.value);
    const width = stencil.ownerSVGElement.viewBox.baseVal.width;
    for (const path of [stencil, marker]) path.setAttribute("transform", `translate(${((at - best) * width) / SHOWN_BINS})`);
    try {
      shares ??= await load();
    } catch {
      said.textContent = "The histogram could not be had.";
      return;
    }
    if (at !== Number(slider.value)) return; // moved on meanwhile
    const price = slidePrice(at);
    const part = score(shares, at) / score(shares, best);
    const words = `$100 would be ${(100 / price).toFixed(8)} BTC, one bitcoin about $${Math.round(price).toLocaleString("en-US")}: `;
    said.textContent = words + (at === best ? "here it fits best." : `it fits ${Math.round(100 * part)}% as well as at its best.`);
    slider.setAttribute("aria-valuetext", said.textContent);
  }
  slider.addEventListener("input", slide);
}
