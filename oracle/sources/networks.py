"""The Bitcoin networks, and what tells them apart."""

from typing import NamedTuple

from oracle.errors import RequestError


class Network(NamedTuple):
    """A network under Bitcoin Core's name for it."""

    name: str
    switch: str  # what turns it on in bitcoin.conf
    folder: str  # under the data folder
    rpc_port: int
    magic: str  # the first four bytes of a record in its block files
    genesis: str  # its first block's hash


NETWORKS = (
    Network(
        "main",
        "main",
        "",
        8332,
        "f9beb4d9",
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    ),
    Network(
        "test",
        "testnet",
        "testnet3",
        18332,
        "0b110907",
        "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
    ),
    Network(
        "testnet4",
        "testnet4",
        "testnet4",
        48332,
        "1c163f28",
        "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
    ),
    Network(
        "signet",
        "signet",
        "signet",
        38332,
        "0a03cf40",
        "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
    ),
    Network(
        "regtest",
        "regtest",
        "regtest",
        18443,
        "fabfb5da",
        "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
    ),
)

# The script that a block of the public signet satisfies. Every signet has the same first block;
# another script makes another network, whose magic is the start of that script's hash.
SIGNET_CHALLENGE = (
    "512103ad5e0edad18cb1f0fc0d28a3d4f1f3e445640337489abb10404f2d1e086be430"
    "210359ef5021964fe22d6f8e05b2463c9540ce96883fe3b278760f048f5189f2e6c452ae"
)
SIGNET = "signet"
UNKNOWN = "unknown"


def require_network(found: str, wanted: str | None, source: str) -> str:
    """Return the network that a source is on, when it is the one wanted or any will do.

    Raises:
        RequestError: it is another one.
    """
    if wanted and found != wanted:
        raise RequestError(
            f"ORACLE_NETWORK asks for {wanted}, and {source} is on network {found}: "
            f"set up a source that is on {wanted}, or change ORACLE_NETWORK"
        )
    return found
