"""Steps 3 to 7 of the method in plain Python: one number after the other, straight from its
description.

Slow, and sharing nothing with `oracle` but the table of weights; what it says is compared to the
last bit.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from statistics import median

from oracle.core.params import SPIKES

ROUND_BTC_BINS = (
    201,
    401,
    461,
    496,
    540,
    601,
    661,
    696,
    740,
    801,
    861,
    896,
    940,
    1001,
    1061,
    1096,
    1140,
    1201,
)
USD = (5, 10, 15, 20, 25, 30, 40, 50, 100, 150, 200, 300, 500, 1000)
EDGES = [0.0] + [10 ** (-6 + k + b / 200) for k in range(12) for b in range(200)]
ROUND_LADDERS = (
    (0.00005, 0.0001, 0.00001),
    (0.0001, 0.001, 0.00001),
    (0.001, 0.01, 0.0001),
    (0.01, 0.1, 0.001),
    (0.1, 1, 0.01),
)


@dataclass
class PlainPrice:
    """What the method says of a list of amounts; None where it says nothing."""

    rough_price_usd: int | None = None
    price_usd: float | None = None
    best_slide: int | None = None
    points: list[float] = field(default_factory=list)
    spread: float | None = None


def histogram(amounts: list[float]) -> list[float] | None:
    """Return the cleaned histogram (step 3)."""
    bins = [0.0] * 2401
    for amount in amounts:
        bins[bisect_right(EDGES, amount) - 1] += 1  # edge[i] <= amount < edge[i+1]
    for i in [*range(201), *range(1601, 2401)]:
        bins[i] = 0.0
    for i in ROUND_BTC_BINS:
        bins[i] = 0.5 * (bins[i + 1] + bins[i - 1])
    total = 0.0
    for i in range(201, 1601):
        total += bins[i]
    if total == 0:
        return None
    return [min(share / total, 0.008) for share in bins]


def smooth_stencil() -> list[float]:
    """Return the broad shape of all payments (step 4)."""
    e = 2.718281828459045
    return [0.00150 * e ** (-((x - 411) ** 2) / (2 * 201**2)) + 0.0000005 * x for x in range(803)]


def spike_stencil() -> list[float]:
    """Return where round dollar amounts would lie (step 4)."""
    return [SPIKES[x][0] if x in SPIKES else 0.0 for x in range(803)]


SMOOTH, SPIKE = smooth_stencil(), spike_stencil()


def score(shares: list[float], slide: int, stencil: list[float]) -> float:
    total = 0.0
    for n, share in enumerate(shares[199 + slide : 199 + slide + 803]):
        if share and stencil[n]:  # what is zero changes no sum
            total += share * stencil[n]
    return total


def slide_price(slide: int) -> float:
    return 100 / EDGES[601 + slide]


def rough_price(shares: list[float]) -> tuple[int, int] | None:
    """Return rough price and best slide (step 5)."""
    best, best_score, total = None, 0.0, 0.0
    for slide in range(-141, 201):
        here = score(shares, slide, SPIKE)
        if slide < 150:
            here += score(shares, slide, SMOOTH) * 0.65
        if here > best_score:
            best, best_score = slide, here
        total += here
    if best is None:
        return None
    above, below = score(shares, best + 1, SPIKE), score(shares, best - 1, SPIKE)
    step, neighbour = (-1, below) if below > above else (1, above)
    mean = total / 342
    a1, a2 = best_score - mean, abs(neighbour - mean)
    return int(a1 / (a1 + a2) * slide_price(best) + a2 / (a1 + a2) * slide_price(best + step)), best


def round_amounts() -> list[float]:
    rounds = []
    for start, below, step in ROUND_LADDERS:
        amount = start
        while amount < below:
            rounds.append(amount)
            amount += step
    return rounds


ROUNDS = round_amounts()


def price_points(amounts: list[float], rough: int) -> list[float]:
    """Return the prices of amounts near round dollars (step 6)."""
    points = []
    for n in amounts:
        for usd in USD:
            c = usd / rough
            if c - 0.25 * c < n < c + 0.25 * c and not any(
                r - 0.0001 * r < n < r + 0.0001 * r for r in ROUNDS
            ):
                points.append(usd / n)
    return points


def central_output(prices: list[float], low: float, high: float) -> tuple[float, float] | None:
    """Return the central output of the prices within open bounds, and the median distance to it
    (step 7)."""
    x = sorted(price for price in prices if low < price < high)
    sums, total = [], 0.0
    for price in x:
        total += price
        sums.append(total)
    best: tuple[float, float] | None = None
    for i, price in enumerate(x):
        before = sums[i - 1] if i else 0
        distance = (price * i - before) + ((total - sums[i]) - price * (len(x) - i - 1))
        if best is None or distance < best[0]:
            best = distance, price
    if best is None:
        return None
    central = best[1]
    return central, median(abs(price - central) for price in x)


def price_of(values_sats: list[int]) -> PlainPrice:
    """Return what the method says of eligible outputs in chain order."""
    amounts = [sats / 1e8 for sats in values_sats]
    shares = histogram(amounts)
    found = rough_price(shares) if shares else None
    if found is None:
        return PlainPrice()
    rough, slide = found
    points = price_points(amounts, rough)
    central = central_output(points, rough - 0.05 * rough, rough + 0.05 * rough)
    if central is None:
        return PlainPrice(rough, None, slide, points)
    price = central[0]
    wide = central_output(points, price - 0.1 * price, price + 0.1 * price)
    assert wide is not None
    return PlainPrice(
        rough, price, slide, points, wide[1] / ((price + 0.1 * price) - (price - 0.1 * price))
    )
