"""Every constant of the published v9.1 method, in one frozen object.

Source: the published rules and figures of the v9.1 method (May 2025); docs/algorithm.md restates
them.
"""

from __future__ import annotations

from dataclasses import dataclass

SATS_PER_BTC = 100_000_000
ALGORITHM_VERSION = "9.1+2"
"""The published version, and ours: changes whenever a number that we publish would change."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The method's figures; amounts in BTC or sats as named, indices are histogram bins."""

    window_blocks: int = 144  # a day's worth of blocks
    final_depth_blocks: int = 6  # blocks on top of a day's last block before the day is final

    # Step 2: which transactions look like one person paying another
    max_inputs: int = 5
    outputs: int = 2
    max_witness_bytes: int = 500  # per input, all items added up
    min_value_sats: int = 1_000  # exclusive: 1e-5 BTC
    max_value_sats: int = 10_000_000_000_000  # exclusive: 1e5 BTC

    # Step 3: the histogram of log10(BTC), 200 bins a decade from 1e-6 to 1e6, and bin 0 for what is
    # below
    first_decade: int = -6
    decades: int = 12
    bins_per_decade: int = 200
    first_kept_bin: int = 201  # 1e-5 BTC
    last_kept_bin: int = 1600  # just below 100 BTC
    round_btc_bins: tuple[int, ...] = (
        *(201, 401, 461, 496, 540, 601, 661, 696, 740),
        *(801, 861, 896, 940, 1001, 1061, 1096, 1140, 1201),
    )
    max_bin_share: float = 0.008  # no single amount may outweigh the pattern

    # Step 4: where round dollar amounts would lie, and the broad shape of all payments
    stencil_bins: int = 803
    smooth_mean: int = 411
    smooth_deviation: int = 201
    smooth_height: float = 0.00150
    smooth_slope: float = 0.0000005
    euler: float = 2.718281828459045

    # Step 5: slides of the stencil over the histogram
    first_slide: int = -141  # about $500,000
    last_slide: int = 200  # about $5,000
    slide_origin_bin: int = 199
    price_origin_bin: int = 601
    smooth_weight: float = 0.65
    last_smooth_slide: int = 149

    # Step 6: price points
    point_usd: tuple[int, ...] = (5, 10, 15, 20, 25, 30, 40, 50, 100, 150, 200, 300, 500, 1000)
    point_reach: float = 0.25  # of the expected amount, either side
    round_reach: float = 0.0001  # of a round BTC amount, either side
    round_btc_ladders: tuple[tuple[float, float, float], ...] = (  # from, below, step
        (0.00005, 0.0001, 0.00001),
        (0.0001, 0.001, 0.00001),
        (0.001, 0.01, 0.0001),
        (0.01, 0.1, 0.001),
        (0.1, 1.0, 0.01),
    )

    # Step 7: the price is the central output near the rough price
    central_reach: float = 0.05
    spread_reach: float = 0.10


PARAMETERS = Parameters()

# Bin of the stencil: (weight, the dollar amount it stands for)
SPIKES: dict[int, tuple[float, int]] = {
    40: (0.001300198324984352, 1),
    141: (0.001676746949820743, 5),
    201: (0.003468805546942046, 10),
    202: (0.001991977522512513, 10),
    236: (0.001905066647961839, 15),
    261: (0.003341772718156079, 20),
    262: (0.002588902624584287, 20),
    296: (0.002577893841190244, 30),
    297: (0.002733728814200412, 30),
    340: (0.003076117748975647, 50),
    341: (0.005613067550103145, 50),
    342: (0.003088253178535568, 50),
    400: (0.002918457489366139, 100),
    401: (0.006174500465286022, 100),
    402: (0.004417068070043504, 100),
    403: (0.002628663628020371, 100),
    436: (0.002858828161543839, 150),
    461: (0.004097463611984264, 200),
    462: (0.003345917406120509, 200),
    496: (0.002521467726855856, 300),
    497: (0.002784125730361008, 300),
    541: (0.003792850444811335, 500),
    601: (0.003688240815848247, 1000),
    602: (0.002392400117402263, 1000),
    636: (0.001280993059008106, 1500),
    661: (0.001654665137536031, 2000),
    662: (0.001395501347054946, 2000),
    741: (0.001154279140906312, 5000),
    801: (0.000832244504868709, 10000),
}
