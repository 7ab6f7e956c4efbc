"""Hosts and ports: what can be reached, what cannot, and what a firewall has to pass."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from msgspec.structs import replace

from batcher.cli.main import main
from batcher.errors import Exit
from batcher.ops.reach import STREAMING, Door, Transport, look_at_streaming, reach
from batcher.simulator import Running

TLS = Door(host="127.0.0.1", port=1, transport=Transport.TLS, family="*.livekit.cloud", purpose="signals of a session")
UDP = Door(host="127.0.0.1", port=1, transport=Transport.UDP, family="*.host.livekit.cloud", purpose="finding the way")
SOON = 5.0


@contextmanager
def stun(*, lost: int = 0, junk: bool = False) -> Iterator[int]:
    """A STUN server on loopback that loses the first requests, or sends something else first; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            for number in range(lost + 1):
                asked, sender = server.recvfrom(2048)
                if number < lost:
                    continue
                if junk:
                    server.sendto(b"not for you", sender)
                server.sendto(b"\x01\x01\x00\x00" + asked[4:20], sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(SOON)


@contextmanager
def silent(kind: socket.SocketKind) -> Iterator[int]:
    """A socket on loopback that never says anything; its port."""
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("changes", [{}, {"lost": 1}, {"junk": True}])
def test_udp_is_open_when_a_stun_server_answers(changes: dict[str, int]) -> None:
    """A lost datagram is no closed door, and one that answers something else is no open one."""
    with stun(**changes) as port:  # type: ignore[arg-type]
        assert reach(replace(UDP, port=port), wait_s=1.5).is_well


def test_silence_over_udp_says_what_the_firewall_must_pass() -> None:
    """What it is needed for, and the rule to ask for."""
    with silent(socket.SOCK_DGRAM) as port:
        finding = reach(replace(UDP, port=port), wait_s=0.03)
    assert not finding.is_well
    assert finding.what == f"127.0.0.1:{port} (UDP) gives no answer within 0.03 s, needed for finding the way"
    assert (
        finding.advice
        == f"check the network and the proxy, or let the firewall pass UDP {port} to *.host.livekit.cloud"
    )


def test_silence_over_tcp_is_not_waited_for_without_end() -> None:
    """A firewall that swallows the handshake is told like one that refuses."""
    with silent(socket.SOCK_STREAM) as port:
        finding = reach(replace(TLS, port=port), wait_s=0.03)
    assert not finding.is_well
    assert "let the firewall pass TCP" in finding.advice


def test_refused_connection_names_the_family_of_hosts() -> None:
    """The page names families, and so does the rule."""
    with silent(socket.SOCK_DGRAM) as port:  # nobody listens on the TCP port of the same number
        finding = reach(replace(TLS, port=port), wait_s=SOON)
    assert not finding.is_well
    assert finding.advice.endswith(f"let the firewall pass TCP {port} to *.livekit.cloud")


def test_plain_answer_where_tls_should_be_blames_what_stands_between() -> None:
    """A proxy that speaks something else is no closed port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        finding = reach(replace(TLS, port=server.getsockname()[1]), wait_s=SOON)
        thread.join(SOON)
    assert not finding.is_well
    assert finding.what.startswith("no safe connection to 127.0.0.1")


def test_every_door_is_tried_and_what_cannot_be_is_named() -> None:
    """The page has four kinds of hosts, and ports to all hosts that only a session could try."""
    with stun() as port:
        found = list(look_at_streaming([replace(UDP, port=port)], wait_s=SOON))
    assert [each.is_well for each in found] == [True, True]
    assert "UDP 50000-60000 and TCP 7881" in found[1].what
    assert {(each.family, each.port) for each in STREAMING} == {
        ("", 443),
        ("*.livekit.cloud", 443),
        ("*.turn.livekit.cloud", 443),
        ("*.host.livekit.cloud", 3478),
    }


def test_the_command_looks_at_the_doors_of_streaming_too(
    signed_in: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is closed is told with its remedy and changes the exit code; without --streaming nobody knocks."""
    closed = replace(TLS, transport=Transport.TCP, purpose="signals of a session")
    with stun() as port:
        doors = [replace(UDP, port=port), closed]
        monkeypatch.setattr("batcher.cli.doctor.look_at_streaming", partial(look_at_streaming, doors, wait_s=SOON))
        codes = [main(["doctor", "--streaming"]), main(["doctor"])]
    told, plain = capsys.readouterr().out.split("ok     not tested, recommended", 1)

    assert codes == [Exit.EDIT, Exit.DONE]
    assert f"ok     127.0.0.1:{port} (UDP) can be reached" in told
    assert "WRONG  127.0.0.1:1 cannot be reached" in told
    assert "let the firewall pass TCP without TLS 1 to *.livekit.cloud" in told
    assert "127.0.0.1:1 " not in plain
