"""Where the key comes from, and where it may go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from batcher.api.account import ALLOW_VARIABLE, Account, open_account
from batcher.catalog.load import FOLDER, load_provider
from batcher.errors import InputError
from batcher.hosts import is_loopback_host

HEYGEN = load_provider(FOLDER / "heygen.yaml")
KEY = "sk-canary-4711"


def account(
    environ: Mapping[str, str] | None = None, *, base_url: str = "", folders: tuple[Path, ...] = (), key: str = KEY
) -> Account:
    """HeyGen's account, with a key in the environment unless told otherwise."""
    signed = {"HEYGEN_API_KEY": key} if key else {}
    return open_account(
        HEYGEN, base_url=base_url, environ={**signed, **(environ or {})}, folders=list(folders), state=Path("nowhere")
    )


def test_the_key_comes_from_the_environment() -> None:
    """And goes where the provider wants it."""
    found = account()
    assert (found.base_url, found.signature.headers(), found.is_real) == (HEYGEN.base_url, {"X-Api-Key": KEY}, True)
    assert found.host == "api.heygen.com"


def test_the_key_comes_from_a_dotenv_file(tmp_path: Path) -> None:
    """The first folder that has one; quotes and comments are the file's, not the key's."""
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / ".env").write_text(f'# mine\nexport HEYGEN_API_KEY="{KEY}"  # the key\n')
    (tmp_path / ".env").write_text("HEYGEN_API_KEY=another\n")

    assert account(key="", folders=(tmp_path / "job", tmp_path)).signature.headers() == {"X-Api-Key": KEY}


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    """What is set by hand is meant."""
    (tmp_path / ".env").write_text("HEYGEN_API_KEY=from-the-file\n")

    assert account(folders=(tmp_path,)).signature.headers() == {"X-Api-Key": KEY}


def test_an_empty_variable_is_none_at_all(tmp_path: Path) -> None:
    """`HEYGEN_API_KEY=` in a shell profile does not hide the file."""
    (tmp_path / ".env").write_text(f"HEYGEN_API_KEY={KEY}\n")

    assert account({"HEYGEN_API_KEY": "  "}, key="", folders=(tmp_path,)).signature.headers() == {"X-Api-Key": KEY}


def test_blanks_around_a_key_are_not_part_of_it() -> None:
    """They come along when a key is copied."""
    assert account(key=f" {KEY}\n").signature.headers() == {"X-Api-Key": KEY}


def test_without_a_key_the_message_says_where_it_is_looked_for() -> None:
    """Before anything else happens."""
    with pytest.raises(InputError, match=r"HEYGEN_API_KEY: no key for HeyGen.*in the environment or in a .env file"):
        account(key="")


@pytest.mark.parametrize("key", ["sk-“quoted”", "sk\x00key", "sk\nX-Evil: 1", "ключ"])
def test_a_key_with_impossible_characters_is_refused_without_being_shown(key: str) -> None:
    """A line break in a header would be a second header."""
    with pytest.raises(InputError, match="characters that no key has") as caught:
        account(key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8321", "http://localhost:1", "http://[::1]:8321", "http://127.9.9.9"]
)
def test_loopback_is_free_and_not_real(url: str) -> None:
    """Nothing there costs money, and no key is needed."""
    found = account(base_url=url + "/", key="")
    assert (found.base_url, found.is_real) == (url, False)
    assert found.signature.headers() == {"X-Api-Key": "rehearsal"}


def test_the_address_may_come_from_the_environment() -> None:
    """The job's own address goes first."""
    environ = {"HEYGEN_BASE_URL": "http://127.0.0.1:1"}
    assert account(environ).base_url == "http://127.0.0.1:1"
    assert account(environ, base_url="http://127.0.0.1:2").base_url == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "api.heygen.com.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "8.8.8.8",
     "heygen.com", "①②⑦.⓪.⓪.①", "2130706433", "0x7f000001", "0"],
)  # fmt: skip
def test_a_foreign_host_never_gets_the_key(host: str) -> None:
    """A job file could carry the key away (F8)."""
    with pytest.raises(InputError, match=f"if it may have your key, set {ALLOW_VARIABLE}=") as caught:
        account(base_url=f"https://{host}/v3")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "HTTP"])
def test_the_key_never_goes_out_unencrypted(scheme: str) -> None:
    """Not even to HeyGen, not even when the host is allowed."""
    for host in ("api.heygen.com", "proxy.example"):
        with pytest.raises(InputError, match="would carry the key unencrypted; use https"):
            account({ALLOW_VARIABLE: host}, base_url=f"{scheme}://{host}")


def test_a_foreign_host_is_allowed_in_the_environment_only() -> None:
    """Where the person decides, by the host's full name."""
    allowed = {ALLOW_VARIABLE: "other.example, proxy.example"}
    assert (
        account(allowed, base_url="https://Proxy.example:8443/heygen/").base_url == "https://Proxy.example:8443/heygen"
    )
    with pytest.raises(InputError, match=r"'xproxy\.example' is not api\.heygen\.com"):
        account(allowed, base_url="https://xproxy.example")


def test_an_allowance_in_a_dotenv_file_does_not_count(tmp_path: Path) -> None:
    """It may have come with the job."""
    (tmp_path / ".env").write_text(f"{ALLOW_VARIABLE}=evil.example\n")

    with pytest.raises(InputError, match=r"evil\.example"):
        account(base_url="https://evil.example", folders=(tmp_path,))


@pytest.mark.parametrize(
    "url",
    ["api.heygen.com", "ftp://api.heygen.com", "https://", "https://me:pw@api.heygen.com", "https://api.heygen.com?x=1",
     "https://api.heygen.com#x", "file:///etc/passwd", "https://api.heygen.com@evil.example"],
)  # fmt: skip
def test_what_is_no_base_address_is_refused(url: str) -> None:
    """With an example of what one looks like."""
    with pytest.raises(InputError, match=r"is not a base address such as https://api\.heygen\.com"):
        account(base_url=url)


def test_no_representation_shows_the_key() -> None:
    """It would end up in a log or a traceback (I7)."""
    assert KEY not in repr(account())
    assert KEY not in account().name


def test_an_accounts_name_is_its_provider_address_and_key() -> None:
    """The same for every job and process that uses it, another one for another key or address."""
    assert account().name == account(base_url=HEYGEN.base_url + "/").name
    names = {account().name, account(key="another").name, account(base_url="http://127.0.0.1:1").name}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.255.255.254", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::ffff:8.8.8.8", False), ("10.0.0.1", False), ("localhost.localdomain", False), ("", False)],
)  # fmt: skip
def test_loopback_is_what_is_loopback_by_definition(host: str, loopback: bool) -> None:
    """A name that merely resolves to this machine today does not count."""
    assert is_loopback_host(host) is loopback
