"""One bounded exchange with a server: time, bytes, certificates, proxies, and what went wrong."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle.address import parse_address
from oracle.errors import SettingsError
from oracle.web import Route, Trouble, WebAnswer, WebClient, WebError, WebRequest, is_local
from tests.helpers.fakes import FakeServer, Reply
from tests.helpers.fakes.raw import RawServer
from tests.helpers.fakes.server import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Echo(FakeServer):
    def handle(self, request: Request) -> Reply:
        return Reply(200, request.path.encode())


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


def ask(
    url: str, *, route: Route | None = None, seconds: float = 5.0, max_bytes: int = 1000
) -> WebAnswer:
    client = WebClient(parse_address(url), route)
    try:
        return client.exchange(WebRequest("GET", "/a", seconds, max_bytes))
    finally:
        client.close()


def trouble(url: str, **how: object) -> Trouble:
    with pytest.raises(WebError) as caught:
        ask(url, **how)
    return caught.value.trouble


def test_an_answer_is_status_body_and_headers(echo: Echo) -> None:
    answer = ask(echo.url)
    assert (answer.status, answer.body) == (200, b"/a")
    assert answer.headers["content-type"] == "text/plain"


def test_a_name_that_is_not_found_out_in_time_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    try:
        assert trouble("http://slow.example", seconds=0.2) is Trouble.TIMEOUT
    finally:
        released.set()


def test_nothing_compressed_is_asked_for(echo: Echo) -> None:
    ask(echo.url)
    assert echo.requests[0].headers["accept-encoding"] == "identity"


def test_a_redirect_is_an_answer_and_is_not_followed(echo: Echo) -> None:
    echo.reply_with(Reply(302, headers={"Location": "/elsewhere"}))
    assert ask(echo.url).status == 302
    assert echo.paths == ["/a"]


def test_the_proxy_of_the_environment_is_not_used(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert ask(echo.url).status == 200


def test_a_body_as_long_as_allowed_is_taken(echo: Echo) -> None:
    echo.fail(200, b"x" * 1000)
    assert len(ask(echo.url).body) == 1000


def test_a_body_that_is_longer_is_cut_off(echo: Echo) -> None:
    echo.fail(200, b"x" * 1001)
    assert trouble(echo.url) is Trouble.TOO_LARGE


def test_headers_that_drip_are_given_up_when_the_time_of_the_request_is_over() -> None:
    with RawServer(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, 0.05) as server:
        assert trouble(server.url, seconds=0.5) is Trouble.TIMEOUT


def test_a_body_that_drips_is_given_up_when_the_time_of_the_request_is_over() -> None:
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500, 0.05) as server:
        assert trouble(server.url, seconds=0.5) is Trouble.TIMEOUT


def test_a_server_that_says_nothing_is_given_up(echo: Echo) -> None:
    echo.hang()
    assert trouble(echo.url, seconds=0.3) is Trouble.TIMEOUT


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (b"", Trouble.CUT_SHORT),
        (OK[:-1], Trouble.CUT_SHORT),
        (b'{"jsonrpc": "2.0"}\n', Trouble.NO_HTTP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.NO_HTTP),
    ],
)
def test_what_went_wrong_is_told_apart(says: bytes, kind: Trouble) -> None:
    with RawServer(says) as server:
        assert trouble(server.url) is kind


def test_a_closed_port_is_a_refused_connection() -> None:
    assert trouble("http://127.0.0.1:1") is Trouble.REFUSED


def test_a_name_that_does_not_exist_is_told_as_that() -> None:
    assert trouble("http://does-not-exist.invalid") is Trouble.NO_SUCH_HOST


def test_https_to_a_server_without_tls_is_told_as_that(echo: Echo) -> None:
    assert trouble(echo.url.replace("http:", "https:")) is Trouble.NO_TLS


# Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority of one's own, ca.pem, and a server's certificate by it, s.pem."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj /CN=Home",
        "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=127.0.0.1",
        "x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out s.pem -days 9 "
        "-extfile names",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def safe_server(certificates: Path) -> Iterator[str]:
    """Serve one answer over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "s.pem", certificates / "s.key")
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        connection.settimeout(5)
        try:
            with context.wrap_socket(connection, server_side=True) as safe:
                safe.recv(10_000)
                safe.sendall(OK)
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    thread.join(10)
    listening.close()


def test_a_certificate_of_an_unknown_authority_is_told_as_that(safe_server: str) -> None:
    assert trouble(safe_server) is Trouble.CERTIFICATE


def test_an_authority_of_ones_own_is_trusted(safe_server: str, certificates: Path) -> None:
    assert ask(safe_server, route=Route(ca_file=certificates / "ca.pem")).body == b"hi"


def test_a_file_of_authorities_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ORACLE_CA_FILE.*No such file"):
        WebClient(parse_address("https://node"), Route(ca_file=tmp_path / "none.pem"))


# Proxies

OUTSIDE = "http://price.example.org"


def test_a_host_outside_is_asked_through_the_proxy(echo: Echo) -> None:
    answer = ask(OUTSIDE, route=Route(proxy=parse_address(echo.url)))
    assert answer.body.endswith(b"/a")
    assert echo.requests[0].headers["host"] == "price.example.org"


def test_this_machine_is_asked_directly(echo: Echo) -> None:
    proxy = parse_address("http://127.0.0.1:1")
    assert ask(echo.url, route=Route(proxy=proxy)).status == 200


def test_a_proxy_that_does_not_run_is_told_as_that() -> None:
    proxy = parse_address("socks5h://127.0.0.1:1", ("socks5h",))
    assert trouble(OUTSIDE, route=Route(proxy=proxy)) is Trouble.PROXY


def test_a_socks_proxy_is_given_the_name_to_look_up() -> None:
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(5)
            heard.append(connection.recv(100))  # which ways to log in the client knows
            connection.sendall(b"\x05\x00")
            heard.append(connection.recv(200))  # where to
            connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            heard.append(connection.recv(1000))
            connection.sendall(OK)

    thread = threading.Thread(target=serve)
    thread.start()
    address = f"socks5h://127.0.0.1:{listening.getsockname()[1]}"
    answer = ask("http://abcdef.onion", route=Route(proxy=parse_address(address, ("socks5h",))))
    thread.join(10)
    listening.close()
    assert answer.body == b"hi"
    assert b"abcdef.onion" in heard[1]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "localhost", "electrs", "10.1.2.3", "192.168.0.9", "umbrel.local"]
)
def test_this_machine_and_its_network_need_no_proxy(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["abc.onion", "8.8.8.8", "mempool.space", "2001:4860::8888"])
def test_all_others_are_outside(host: str) -> None:
    assert not is_local(host)
