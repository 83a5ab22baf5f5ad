"""bitcoin.conf, read as Core reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.errors import SettingsError
from oracle.sources.bitcoin_conf import NodeFolder


def read(folder: Path, text: str) -> NodeFolder:
    (folder / "bitcoin.conf").write_text(text)
    return NodeFolder(folder)


def test_a_folder_without_a_file_is_a_main_node_with_the_defaults(tmp_path):
    assert NodeFolder(tmp_path).rpc_url() == "http://127.0.0.1:8332"


def test_a_folder_that_does_not_exist_has_no_credentials(tmp_path):
    assert NodeFolder(tmp_path / "nowhere").credentials() is None


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("testnet=1", 18332),
        ("testnet4=1", 48332),
        ("signet=1", 38332),
        ("regtest=1", 18443),
        ("chain=regtest", 18443),
        ("chain=main", 8332),
        ("regtest=0", 8332),
        ("[main]\nregtest=1", 8332),
    ],
)
def test_the_network_comes_from_the_part_above_the_sections(tmp_path, text, port):
    assert read(tmp_path, text).rpc_url() == f"http://127.0.0.1:{port}"


def test_the_port_of_the_networks_section_counts(tmp_path):
    assert (
        read(tmp_path, "regtest=1\n[test]\nrpcport=1\n[regtest]\nrpcport=2")
        .rpc_url()
        .endswith(":2")
    )


def test_a_common_port_counts_for_the_main_network_only(tmp_path):
    assert read(tmp_path, "regtest=1\nrpcport=1").rpc_url().endswith(":18443")


def test_a_common_port_counts_for_the_main_network(tmp_path):
    assert read(tmp_path, "rpcport=1").rpc_url().endswith(":1")


def test_a_dotted_name_belongs_to_its_section(tmp_path):
    assert read(tmp_path, "regtest=1\nregtest.rpcport=3").rpc_url().endswith(":3")


def test_the_first_of_two_equal_names_counts(tmp_path):
    assert read(tmp_path, "rpcpassword=x\nrpcuser=first\nrpcuser=second").credentials() == (
        "first",
        "x",
    )


def test_the_section_goes_before_the_common_part(tmp_path):
    assert read(tmp_path, "regtest=1\nrpcpassword=x\n[regtest]\nrpcpassword=own").credentials() == (
        "",
        "own",
    )


def test_comments_and_blanks_are_left_out(tmp_path):
    assert read(tmp_path, " # rpcuser=no\n\n rpcuser = me # him\nrpcpassword=x").credentials() == (
        "me",
        "x",
    )


def test_another_host_is_honoured(tmp_path):
    assert read(tmp_path, "rpcconnect=node").rpc_url() == "http://node:8332"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("rpcconnect=::1", "http://[::1]:8332"),
        ("rpcconnect=[::1]", "http://[::1]:8332"),
        ("rpcconnect=[::1]:9", "http://[::1]:9"),
        ("rpcconnect=node:9", "http://node:9"),
        ("rpcconnect=node:9\nrpcport=10", "http://node:10"),
        ("testnet=", "http://127.0.0.1:18332"),
        ("testnet=true", "http://127.0.0.1:8332"),
        ("testnet=00", "http://127.0.0.1:8332"),
    ],
)
def test_addresses_and_switches_are_read_as_core_reads_them(tmp_path, text, url):
    assert read(tmp_path, text).rpc_url() == url


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rpcport=abc", "rpcport"),
        ("rpcport=0", "rpcport"),
        ("rpcport=99999", "rpcport"),
        ("rpcconnect=a..b", "rpcconnect"),
        ("rpcconnect=node:x", "rpcconnect"),
    ],
)
def test_a_port_or_host_that_is_none_is_a_sentence_that_names_it(tmp_path, text, named):
    with pytest.raises(SettingsError, match=rf"^{named} in .*bitcoin\.conf: "):
        read(tmp_path, "rpcpassword=hunter2\n" + text).rpc_url()


def test_an_included_file_counts_behind_the_file_itself(tmp_path):
    (tmp_path / "more.conf").write_text("rpcuser=other\nrpcpassword=x\nrpcport=9")
    found = read(tmp_path, "includeconf=more.conf\nrpcuser=me")
    assert (found.credentials(), found.rpc_url()) == (("me", "x"), "http://127.0.0.1:9")


def test_of_two_included_files_the_first_counts(tmp_path):
    (tmp_path / "a.conf").write_text("rpcport=1")
    (tmp_path / "b.conf").write_text("rpcport=2")
    assert read(tmp_path, "includeconf=a.conf\nincludeconf=b.conf").rpc_url().endswith(":1")


def test_the_network_may_be_named_in_an_included_file(tmp_path):
    (tmp_path / "app.conf").write_text("chain=signet\n[signet]\nrpcport=5")
    assert read(tmp_path, "includeconf=app.conf").rpc_url().endswith(":5")


def test_files_included_by_included_files_are_left_out(tmp_path):
    (tmp_path / "a.conf").write_text("includeconf=b.conf")
    (tmp_path / "b.conf").write_text("rpcport=2")
    assert read(tmp_path, "includeconf=a.conf").rpc_url().endswith(":8332")


def test_files_included_for_another_network_are_left_out(tmp_path):
    (tmp_path / "a.conf").write_text("rpcport=2")
    assert read(tmp_path, "[regtest]\nincludeconf=a.conf").rpc_url().endswith(":8332")


def test_an_included_file_that_is_not_there_is_left_out(tmp_path):
    assert read(tmp_path, "includeconf=none.conf").rpc_url().endswith(":8332")


def test_the_cookie_is_in_the_networks_folder(tmp_path):
    (tmp_path / "testnet3").mkdir()
    (tmp_path / "testnet3" / ".cookie").write_text("__cookie__:test")
    (tmp_path / ".cookie").write_text("__cookie__:main")
    assert read(tmp_path, "testnet=1").credentials() == ("__cookie__", "test")


def test_a_cookie_file_of_its_own_is_honoured(tmp_path):
    (tmp_path / "x").write_text("__cookie__:word")
    assert read(tmp_path, f"chain=main\nrpccookiefile={tmp_path}/x").credentials() == (
        "__cookie__",
        "word",
    )


def test_a_cookie_is_found_on_any_network_when_the_file_names_none(tmp_path):
    (tmp_path / "signet").mkdir()
    (tmp_path / "signet" / ".cookie").write_text("__cookie__:word\n")
    assert NodeFolder(tmp_path).credentials() == ("__cookie__", "word")


def test_a_datadir_that_exists_is_followed(tmp_path):
    (tmp_path / "other").mkdir()
    found = read(tmp_path, f"chain=main\ndatadir={tmp_path}/other")
    assert found.blocks_folders() == [tmp_path / "other" / "blocks"]


def test_a_datadir_of_the_nodes_container_is_not_followed(tmp_path):
    found = read(tmp_path, "chain=main\ndatadir=/home/container/.bitcoin")
    assert found.blocks_folders() == [tmp_path / "blocks"]


def test_a_blocksdir_of_its_own_holds_the_networks_folder(tmp_path):
    (tmp_path / "disk").mkdir()
    found = read(tmp_path, f"regtest=1\nblocksdir={tmp_path}/disk")
    assert found.blocks_folders() == [tmp_path / "disk" / "regtest" / "blocks"]


def test_a_cookie_file_without_a_colon_is_none(tmp_path):
    (tmp_path / ".cookie").write_text("nothing")
    assert NodeFolder(tmp_path).credentials() is None


def test_the_password_of_the_file_goes_before_the_cookie(tmp_path):
    (tmp_path / ".cookie").write_text("__cookie__:word")
    assert read(tmp_path, "rpcuser=me\nrpcpassword=mine").credentials() == ("me", "mine")
