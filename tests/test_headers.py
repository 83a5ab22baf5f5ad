"""Headers alone: how much work they hold, and which no node would accept.

Real headers are those of main's blocks in the shared folder, and main's own first changes of target
as Bitcoin Core's unit tests (src/test/pow_tests.cpp) write them down.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.wire import Header, parse_header, sha256d, target_of
from oracle.errors import RequestError, VerificationError
from oracle.headers import (
    FREE,
    PERIOD_BLOCKS,
    PERIOD_SECONDS,
    WORK_RULES,
    HeaderChain,
    compact,
    context_heights,
    is_known,
    retarget,
    rules_of,
    work_of,
    work_of_all,
)
from oracle.simulated.serialise import build_block, coinbase_transaction
from oracle.sources.networks import NETWORKS, SIGNET_CHALLENGE, require_network

NOW = 1_760_000_000
LIMIT = WORK_RULES["main"].limit
MAIN_BITS = 0x1D00FFFF
GENESIS = bytes.fromhex(
    "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
    "29ab5f49ffff001d1dac2b7c"
)


def made(bits: int, time_unix: int = NOW, prev_hash: str = "00" * 32) -> Header:
    """Return a header whose hash meets any target: rules are about what stands beside it."""
    return Header(4, prev_hash, "00" * 32, time_unix, bits, 0, f"{time_unix + bits:064x}")


def chain_of(
    network: str, bits: list[int], first_height: int, step: int = 600
) -> tuple[HeaderChain, int, Header]:
    """Return a chain that knows headers of these bits, and the height and the last of them."""
    chain = HeaderChain(network, NOW)
    start_unix = NOW - (len(bits) + 10) * step
    header = made(bits[0], start_unix)
    for n, of_block in enumerate(bits):
        header = made(of_block, start_unix + n * step, header.hash)
        chain.know(first_height + n, header)
    return chain, first_height + len(bits), header


def behind(previous: Header, bits: int, step: int = 600) -> Header:
    return made(bits, previous.time_unix + step, previous.hash)


# --- Work ---------------------------------------------------


def test_the_first_block_is_worth_what_every_node_says() -> None:
    assert work_of(parse_header(GENESIS)) == 0x1_0001_0001


def test_bits_without_a_target_are_worth_nothing() -> None:
    assert work_of(made(0)) == 0


def test_work_adds_up() -> None:
    assert work_of_all([made(MAIN_BITS), made(0x207FFFFF)]) == 0x1_0001_0001 + 2


@given(st.integers(1, (1 << 255) - 1))
def test_bits_of_a_target_encode_it_rounded_down(target: int) -> None:
    rounded = target_of(compact(target))
    assert rounded <= target < rounded + (1 << max(0, target.bit_length() - 15))


@given(st.integers(1, (1 << 255) - 1))
def test_bits_of_a_rounded_target_are_the_same_bits(target: int) -> None:
    bits = compact(target)
    assert compact(target_of(bits)) == bits


@given(st.lists(st.integers(1, (1 << 255) - 1), min_size=2, max_size=2))
def test_bits_are_in_the_order_of_their_targets(targets: list[int]) -> None:
    low, high = sorted(targets)
    assert compact(low) <= compact(high)


# --- Networks -----------------------------------------------


def test_every_network_has_rules() -> None:
    assert {network.name for network in NETWORKS} <= set(WORK_RULES)


def test_the_first_block_has_the_hash_of_main() -> None:
    assert parse_header(GENESIS).hash == NETWORKS[0].genesis


def test_a_genesis_hash_is_a_whole_hash() -> None:
    assert {len(bytes.fromhex(network.genesis)) for network in NETWORKS} == {32}


@pytest.mark.parametrize("network", ["regtest", "unknown", "simulated", "what"])
def test_a_network_that_is_not_known_is_treated_like_regtest(network: str) -> None:
    assert rules_of(network) is FREE
    assert not is_known(network)


# --- Retargeting --------------------------------------------


@pytest.mark.parametrize(
    ("bits", "first_unix", "last_unix", "asked_for"),
    [
        (0x1D00FFFF, 1_261_130_161, 1_262_152_739, 0x1D00D86A),  # main, block 32,256
        (0x1D00FFFF, 1_231_006_505, 1_233_061_996, 0x1D00FFFF),  # main, block 2,016
        (0x1C05A3F4, 1_279_008_237, 1_279_297_671, 0x1C0168FD),  # main, block 68,544
        (0x1C387F6F, 1_263_163_443, 1_269_211_443, 0x1D00E1FD),  # times made up in Core's test
    ],
)
def test_a_new_target_is_the_one_that_core_computes(
    bits: int, first_unix: int, last_unix: int, asked_for: int
) -> None:
    assert retarget(bits, last_unix - first_unix, LIMIT) == asked_for


@given(st.integers(-PERIOD_SECONDS, 10 * PERIOD_SECONDS), st.integers(1, LIMIT))
def test_a_target_never_changes_by_more_than_four_times(seconds: int, target: int) -> None:
    old = target_of(compact(target))
    new = target_of(retarget(compact(target), seconds, LIMIT))
    assert target_of(compact(old // 4)) <= new <= min(LIMIT, old * 4)


def test_a_period_at_the_right_pace_keeps_its_target() -> None:
    assert retarget(0x1B0404CB, PERIOD_SECONDS, LIMIT) == 0x1B0404CB


def test_a_target_never_becomes_easier_than_the_limit() -> None:
    assert retarget(MAIN_BITS, 3 * PERIOD_SECONDS, LIMIT) == MAIN_BITS


# --- Bits that a header may have ----------------------------


def refusal(chain: HeaderChain, height: int, header: Header) -> str:
    with pytest.raises(VerificationError) as caught:
        chain.follow(height, header)
    assert caught.value.block == height
    return caught.value.problem


@pytest.mark.parametrize("network", ["main", "test", "testnet4", "signet"])
def test_a_block_at_regtest_difficulty_is_refused_on_known_networks(network: str) -> None:
    block = build_block("00" * 32, NOW - 600, [coinbase_transaction(5)])
    problem = refusal(HeaderChain(network, NOW), 5, parse_header(block))
    assert problem.startswith(f"its bits 207fffff are easier than anything on network {network}")


@pytest.mark.parametrize("network", ["regtest", "unknown", "simulated"])
def test_a_block_at_regtest_difficulty_is_followed_elsewhere(network: str) -> None:
    block = build_block("00" * 32, NOW - 600, [coinbase_transaction(5)])
    HeaderChain(network, NOW).follow(5, parse_header(block))


@pytest.mark.parametrize("bits", [0, 0x2080_0001, 0xFF00FFFF, 0x207FFFFF + 1])
def test_bits_that_encode_no_target_of_any_network_are_refused(bits: int) -> None:
    assert refusal(HeaderChain("regtest", NOW), 5, made(bits))


def test_a_hash_above_its_target_is_refused() -> None:
    header = Header(4, "00" * 32, "00" * 32, NOW, MAIN_BITS, 0, "f" * 64)
    assert "does not meet the target" in refusal(HeaderChain("main", NOW), 5, header)


@pytest.mark.parametrize("network", ["main", "signet"])
@pytest.mark.parametrize("bits", [0x1C00FFFF, 0x1D00FFFE, 0x1D00D86A])
def test_bits_stay_within_a_period(network: str, bits: int) -> None:
    chain, height, previous = chain_of(network, [0x1D00FFF0] * 3, 100)
    assert "asks for behind 1d00fff0" in refusal(chain, height, behind(previous, bits))


def test_bits_that_stay_are_followed() -> None:
    chain, height, previous = chain_of("main", [0x1B0404CB] * 3, 100)
    chain.follow(height, behind(previous, 0x1B0404CB))


def test_a_whole_period_gives_the_new_target_exactly() -> None:
    bits = [0x1B0404CB] * PERIOD_BLOCKS
    chain, height, previous = chain_of("main", bits, PERIOD_BLOCKS, step=500)
    exact = retarget(0x1B0404CB, 500 * (PERIOD_BLOCKS - 1), LIMIT)
    assert refusal(chain, height, behind(previous, exact + 1))
    assert refusal(chain, height, behind(previous, 0x1B0404CB))
    chain.follow(height, behind(previous, exact))


@pytest.mark.parametrize("bits", [compact(target_of(0x1B0404CB) * 4), 0x1B0404CB, 0x1B010133])
def test_up_to_four_times_is_followed_where_the_period_is_not_known(bits: int) -> None:
    chain, height, previous = chain_of("main", [0x1B0404CB] * 3, 2 * PERIOD_BLOCKS - 3)
    chain.follow(height, behind(previous, bits))


@pytest.mark.parametrize("bits", [compact(target_of(0x1B0404CB) * 4) + 1, 0x1B010000, 0x1D00FFFF])
def test_more_than_four_times_is_refused_where_the_period_is_not_known(bits: int) -> None:
    chain, height, previous = chain_of("main", [0x1B0404CB] * 3, 2 * PERIOD_BLOCKS - 3)
    assert refusal(chain, height, behind(previous, bits))


def test_without_the_header_before_only_the_limit_counts() -> None:
    HeaderChain("main", NOW).follow(900_000, made(0x17021A91))


# --- The twenty minutes of the testnets ---------------------


@pytest.mark.parametrize("network", ["test", "testnet4"])
def test_a_late_block_is_at_the_limit(network: str) -> None:
    chain, height, previous = chain_of(network, [0x1B0404CB] * 3, 100)
    assert refusal(chain, height, behind(previous, 0x1B0404CB, 1201))
    chain.follow(height, behind(previous, MAIN_BITS, 1201))


@pytest.mark.parametrize("network", ["test", "testnet4"])
def test_a_block_in_time_is_not_at_the_limit(network: str) -> None:
    chain, height, previous = chain_of(network, [0x1B0404CB] * 3, 100)
    assert refusal(chain, height, behind(previous, MAIN_BITS, 1200))


@pytest.mark.parametrize("network", ["test", "testnet4"])
def test_behind_late_blocks_the_old_bits_come_back(network: str) -> None:
    chain, height, previous = chain_of(network, [0x1B0404CB, MAIN_BITS, MAIN_BITS], 100)
    assert refusal(chain, height, behind(previous, 0x1B0404CC))
    chain.follow(height, behind(previous, 0x1B0404CB))


def test_main_knows_no_late_blocks() -> None:
    chain, height, previous = chain_of("main", [0x1B0404CB] * 3, 100)
    assert refusal(chain, height, behind(previous, MAIN_BITS, 1201))


def test_testnet4_starts_a_period_from_its_first_block() -> None:
    bits = [0x1B0404CB] * (PERIOD_BLOCKS - 1) + [MAIN_BITS]
    chain, height, previous = chain_of("testnet4", bits, PERIOD_BLOCKS)
    chain.follow(height, behind(previous, retarget(0x1B0404CB, 600 * (PERIOD_BLOCKS - 1), LIMIT)))


def test_testnet3_starts_a_period_from_its_last_block() -> None:
    bits = [0x1B0404CB] * (PERIOD_BLOCKS - 1) + [MAIN_BITS]
    chain, height, previous = chain_of("test", bits, PERIOD_BLOCKS)
    chain.follow(height, behind(previous, retarget(MAIN_BITS, 600 * (PERIOD_BLOCKS - 1), LIMIT)))


def test_testnet4_does_not_let_a_period_begin_far_in_the_past() -> None:
    chain, height, previous = chain_of("testnet4", [0x1B0404CB] * 20, PERIOD_BLOCKS - 20)
    early = behind(previous, 0x1B0404CB, -601)
    assert "ten minutes before" in refusal(chain, height, early)


# --- Times --------------------------------------------------


@pytest.mark.parametrize("network", ["main", "regtest", "unknown"])
def test_a_time_must_be_above_the_median_of_the_eleven_before(network: str) -> None:
    chain, height, previous = chain_of(network, [0x1B0404CB] * 11, 100)
    at_median = behind(previous, 0x1B0404CB, -5 * 600)
    assert "the median" in refusal(chain, height, at_median)
    chain.follow(height, behind(previous, 0x1B0404CB, -5 * 600 + 1))


def test_a_short_chain_has_the_median_of_what_there_is() -> None:
    chain, height, previous = chain_of("regtest", [0x207FFFFF] * 3, 0)
    assert "the median" in refusal(chain, height, behind(previous, 0x207FFFFF, -600))


def test_fewer_than_eleven_known_say_nothing_of_the_median() -> None:
    chain, height, previous = chain_of("regtest", [0x207FFFFF] * 10, 100)
    chain.follow(height, behind(previous, 0x207FFFFF, -9 * 600))


def test_the_simulated_chain_may_be_further_out_of_order() -> None:
    chain, height, previous = chain_of("simulated", [0x207FFFFF] * 11, 100)
    chain.follow(height, behind(previous, 0x207FFFFF, -9 * 600))


@pytest.mark.parametrize("network", ["main", "regtest"])
def test_a_time_is_at_most_two_hours_ahead_of_the_clock(network: str) -> None:
    HeaderChain(network, NOW).follow(5, made(MAIN_BITS, NOW + 7200))
    late = refusal(HeaderChain(network, NOW), 5, made(MAIN_BITS, NOW + 7201))
    assert "2.0 hours ahead of this machine's clock" in late


# --- Order, and what a check asks for -----------------------


def test_a_header_that_does_not_follow_is_refused() -> None:
    chain, height, previous = chain_of("main", [0x1B0404CB] * 3, 100)
    other = made(0x1B0404CB, previous.time_unix + 600, "ab" * 32)
    assert refusal(chain, height, other) == f"it does not follow {previous.hash}"


@pytest.mark.parametrize(
    ("network", "first", "last", "asked_for"),
    [
        ("main", 100, 200, list(range(89, 100))),
        ("main", 4, 200, [0, 1, 2, 3]),
        ("main", 0, 200, []),
        ("main", 4030, 4032, [2016, *range(4019, 4030)]),
        ("main", 4032, 4032, [2016, *range(4021, 4032)]),
        ("main", 4033, 5000, list(range(4022, 4033))),
        ("main", 0, 5000, []),
        ("regtest", 4032, 4032, list(range(4021, 4032))),
    ],
)
def test_a_check_asks_for_the_eleven_before_and_the_start_of_a_period(
    network: str, first: int, last: int, asked_for: list[int]
) -> None:
    assert context_heights(first, last, network) == asked_for


# --- Real headers -------------------------------------------


def real_headers(shared: Path) -> list[tuple[int, Header]]:
    paths = sorted((shared / "blocks").glob("*.bin"))
    return [(int(path.stem), parse_header(path.read_bytes())) for path in paths]


def test_every_real_block_of_main_is_followed(shared: Path) -> None:
    for height, header in real_headers(shared):
        HeaderChain("main", header.time_unix).follow(height, header)


def test_real_work_grew_with_the_years(shared: Path) -> None:
    work = {height: work_of(header) for height, header in real_headers(shared)}
    assert work[170] == 0x1_0001_0001 < work[150_013] < work[500_000] < work[951_658]


def test_main_begins_as_the_rules_say() -> None:
    first = parse_header(GENESIS)
    second = parse_header(
        struct.pack("<i", 1)
        + GENESIS_HASH
        + bytes.fromhex("982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e")
        + struct.pack("<III", 1_231_469_665, MAIN_BITS, 2_573_394_689)
    )
    chain = HeaderChain("main", NOW)
    chain.follow(0, first)
    chain.follow(1, second)


GENESIS_HASH = bytes.fromhex(parse_header(GENESIS).hash)[::-1]


# --- The network that is asked for --------------------------


@pytest.mark.parametrize("wanted", ["main", None])
def test_the_network_asked_for_is_accepted(wanted: str | None) -> None:
    assert require_network("main", wanted, "bitcoin-core") == "main"


@pytest.mark.parametrize("found", ["regtest", "unknown", "simulated"])
def test_another_network_than_the_one_asked_for_is_refused(found: str) -> None:
    with pytest.raises(RequestError, match=f"ORACLE_NETWORK asks for main, and x is on .*{found}"):
        require_network(found, "main", "x")


def test_without_a_clock_no_time_is_too_far_ahead() -> None:
    HeaderChain("main", None).follow(5, made(MAIN_BITS, NOW + 10**8))


# --- A signet of somebody's own -----------------------------


def test_the_public_signets_magic_is_that_of_its_challenge() -> None:
    script = bytes.fromhex(SIGNET_CHALLENGE)
    magic = next(network.magic for network in NETWORKS if network.name == "signet")
    assert sha256d(bytes([len(script)]) + script)[:4].hex() == magic
