"""The embedded default as a source: blocks and quotes of the simulated chain, and its file of
headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.core.block import parse_block
from oracle.errors import BlockNotFoundError, SourceUnavailableError
from oracle.simulated.market import DAY_SECONDS, SimulationSettings
from oracle.simulated.serialise import header_hash
from oracle.simulated.source import SimulatedSource

MIDNIGHT = 1_761_955_200
SMALL = SimulationSettings(transactions_per_block=12)
FIRST = SMALL.first_height


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, time_unix: float) -> None:
        self.time_unix = time_unix

    def __call__(self) -> float:
        return self.time_unix


pytestmark = pytest.mark.usefixtures("drawn_anew")


@pytest.fixture
def clock() -> Clock:
    return Clock(MIDNIGHT + DAY_SECONDS + 40_000.5)


@pytest.fixture
def source(clock: Clock) -> SimulatedSource:
    return SimulatedSource(SMALL, now=clock, history_days=1)


def at(clock: Clock, path: Path, settings: SimulationSettings = SMALL) -> SimulatedSource:
    return SimulatedSource(settings, now=clock, state_path=path, history_days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "simulated.headers"


# --- Blocks -------------------------------------------------


def test_the_network_is_simulated(source: SimulatedSource) -> None:
    assert (source.network(), source.name) == ("simulated", "simulated")


def test_a_fresh_chain_starts_at_midnight_so_many_days_ago(source: SimulatedSource) -> None:
    assert source.chain.settings.start_unix == MIDNIGHT


def test_the_tip_is_the_newest_block_that_has_arrived(
    source: SimulatedSource, clock: Clock
) -> None:
    height = source.tip().height
    assert source.chain.arrival_unix(height) <= clock() < source.chain.arrival_unix(height + 1)


def test_the_tip_has_its_own_hash(source: SimulatedSource) -> None:
    tip = source.tip()
    assert source.hashes(tip.height, tip.height) == [tip.hash]


def test_the_tip_moves_with_the_clock(source: SimulatedSource, clock: Clock) -> None:
    before = source.tip().height
    clock.time_unix += DAY_SECONDS
    assert source.tip().height > before + 50


def test_hashes_are_those_of_the_headers(source: SimulatedSource) -> None:
    hashes = [header_hash(header) for header in source.headers(FIRST, FIRST + 9)]
    assert source.hashes(FIRST, FIRST + 9) == hashes


def test_a_block_is_found_by_its_hash(source: SimulatedSource) -> None:
    (block_hash,) = source.hashes(FIRST + 5, FIRST + 5)
    assert parse_block(source.block(block_hash)).header.hash == block_hash


def test_a_block_is_found_by_a_hash_from_an_earlier_run(
    source: SimulatedSource, clock: Clock
) -> None:
    later = SimulatedSource(SMALL, now=clock, history_days=1)
    assert header_hash(later.block(source.tip().hash)) == source.tip().hash


def test_an_unknown_hash_is_not_found(source: SimulatedSource) -> None:
    with pytest.raises(BlockNotFoundError, match="no block ffff"):
        source.block("f" * 64)


def test_blocks_below_the_first_are_not_found(source: SimulatedSource) -> None:
    with pytest.raises(BlockNotFoundError, match=str(FIRST - 1)):
        source.headers(FIRST - 1, FIRST)


def test_blocks_beyond_the_tip_are_not_found(source: SimulatedSource) -> None:
    tip = source.tip().height
    with pytest.raises(BlockNotFoundError):
        source.hashes(tip, tip + 1)


def test_a_fork_can_take_the_chains_place(source: SimulatedSource) -> None:
    before = source.hashes(FIRST + 19, FIRST + 20)
    source.chain = source.chain.forked(FIRST + 20, salt=1)
    after = source.hashes(FIRST + 19, FIRST + 20)
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_a_probe_says_simulated_and_healthy(source: SimulatedSource) -> None:
    health = source.probe()
    assert (health.network, health.is_reachable, health.is_synced) == ("simulated", True, True)
    assert health.tip_height == source.tip().height


def test_closing_is_harmless(source: SimulatedSource) -> None:
    source.close()


# --- The file of headers ------------------------------------


def test_a_later_run_extends_the_same_chain(clock: Clock, path: Path) -> None:
    first = at(clock, path).tip()
    clock.time_unix += 3 * DAY_SECONDS
    later = at(clock, path)
    assert later.hashes(first.height, first.height) == [first.hash]
    assert later.chain.settings.start_unix == MIDNIGHT


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_like_one_that_never_was(clock: Clock, path: Path) -> None:
    at(clock, path).tip()
    straight = SimulatedSource(SMALL, now=clock, history_days=1)
    clock.time_unix += DAY_SECONDS
    assert at(clock, path).tip() == straight.tip()


def test_the_file_holds_one_header_a_block(clock: Clock, path: Path) -> None:
    source = at(clock, path)
    tip = source.tip()
    assert path.read_bytes() == b"".join(source.headers(FIRST, tip.height))


def test_known_headers_are_not_made_again(clock: Clock, path: Path) -> None:
    tip = at(clock, path).tip()
    assert len(at(clock, path).chain.known) == tip.height - FIRST + 1


def test_a_cut_file_is_made_again(clock: Clock, path: Path) -> None:
    tip = at(clock, path).tip()
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert at(clock, path).tip() == tip
    assert path.read_bytes() == whole


def test_headers_of_another_seed_are_replaced(clock: Clock, path: Path) -> None:
    at(clock, path, SimulationSettings(seed=99, transactions_per_block=12)).tip()
    source = at(clock, path)
    tip = source.tip()
    assert path.read_bytes() == b"".join(source.headers(FIRST, tip.height))


def test_nothing_but_the_headers_is_left_beside_the_database(clock: Clock, path: Path) -> None:
    at(clock, path).tip()
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_a_fresh_start(clock: Clock, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert at(clock, path).chain.settings.start_unix == MIDNIGHT


def test_a_clock_set_back_leaves_the_file_alone(clock: Clock, path: Path) -> None:
    at(clock, path).tip()
    whole = path.read_bytes()
    clock.time_unix -= DAY_SECONDS
    at(clock, path).tip()
    assert path.read_bytes() == whole


def test_a_clock_before_the_start_is_said_so(clock: Clock, path: Path) -> None:
    at(clock, path).tip()
    clock.time_unix -= 30 * DAY_SECONDS
    with pytest.raises(SourceUnavailableError, match="clock"):
        at(clock, path).tip()


def test_a_file_that_cannot_be_written_is_an_error_with_its_path(
    clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    source = at(clock, tmp_path / "file" / "headers")
    with pytest.raises(SourceUnavailableError, match="file"):
        source.tip()


# --- Quotes -------------------------------------------------


def test_the_latest_quote_is_at_most_five_minutes_old(
    source: SimulatedSource, clock: Clock
) -> None:
    quote = source.latest()
    assert quote is not None
    assert 0 <= clock() - quote.quoted_at_unix <= 300


def test_an_old_quote_is_of_its_time(source: SimulatedSource) -> None:
    quote = source.at(MIDNIGHT + 1000)
    assert quote is not None
    assert quote.quoted_at_unix == MIDNIGHT + 900
    assert quote.price_usd == pytest.approx(
        source.chain.market_price_usd(MIDNIGHT + 900), rel=0.003
    )


def test_there_is_no_quote_before_the_chain(source: SimulatedSource) -> None:
    assert source.at(MIDNIGHT - 1) is None


def test_the_future_has_no_quotes_yet(source: SimulatedSource, clock: Clock) -> None:
    assert source.at(int(clock()) + DAY_SECONDS) == source.latest()


def test_quotes_are_labelled_simulated(source: SimulatedSource) -> None:
    quote = source.latest()
    assert quote is not None
    assert quote.source == "simulated"
