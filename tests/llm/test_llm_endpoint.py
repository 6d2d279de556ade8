"""Where the models are."""

from __future__ import annotations

import asyncio
import socket

import pytest
from llm_calls import KEY, raw_server

from autosynth_core.config import ModelSettings
from autosynth_core.errors import SettingsError
from autosynth_core.llm import Endpoint, Found, discover, resolve
from autosynth_core.llm.endpoint import NO_KEY, checked_url
from tests.support.openai_server import OpenAIServer


@pytest.mark.parametrize(
    ("base_url", "environ", "expected"),
    [
        ("", {}, None),
        ("  ", {"OPENAI_API_KEY": " ", "OPENAI_BASE_URL": ""}, None),
        ("", {"OPENAI_API_KEY": KEY}, ("https://api.openai.com/v1", KEY)),
        ("", {"OPENAI_BASE_URL": "http://here:1/v1"}, ("http://here:1/v1", NO_KEY)),
        ("http://set:2/v1/", {"OPENAI_BASE_URL": "http://here:1/v1", "OPENAI_API_KEY": KEY}, ("http://set:2/v1", KEY)),
        ("http://localhost:11434", {}, ("http://localhost:11434/v1", NO_KEY)),
        ("https://x.org/api/chat/completions", {}, ("https://x.org/api", NO_KEY)),
    ],
)
def test_settings_come_before_the_environment(
    base_url: str, environ: dict[str, str], expected: tuple[str, str] | None
) -> None:
    found = resolve(ModelSettings(base_url=base_url), environ)
    assert (found and (found.base_url, found.api_key)) == expected


@pytest.mark.parametrize(
    "address",
    [
        "localhost:11434",
        "ftp://x/v1",
        "file:///etc/passwd",
        "http://",
        "http://:80",
        "http://x:99999/v1",
        "http://x:abc/v1",
        "http://[::1/v1",
        "http://x/v1?key=secret",
        "http://x/v1#a",
        "http://user:hunter2@x/v1",
        "http://x y/v1",
        "http://x/\x00v1",
        "javascript:alert(1)",
        "http://a..b/v1",
        "http://.a/v1",
        f"http://{'a' * 70}/v1",
        "http://999.1.1.1/v1",
        "http://[1]/v1",
        "http://☃.org/v1",
        "http://x/\udcff",
    ],
)
def test_unusable_address_is_one_sentence_without_secrets(address: str) -> None:
    with pytest.raises(SettingsError, match="such as https") as caught:
        checked_url(address)
    assert "hunter2" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("http://a..b/v1", "names no server"),
        (f"http://{'a' * 70}/v1", "names no server"),
        ("http://x y/v1", "has spaces in it, or characters that no address has"),
        ("http://x/\udcff", "has spaces in it, or characters that no address has"),
    ],
    ids=["empty label", "long label", "space", "no character"],
)
def test_complaint_about_an_address_is_true(address: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=f"The base URL {complaint}; give one such as"):
        checked_url(address)


@pytest.mark.parametrize(
    "address", ["http://model_server:1/v1", "http://[::1]:8/v1", "https://bücher.example/v1", "http://x./v1"]
)
def test_unusual_hosts_that_can_be_looked_up_are_taken(address: str) -> None:
    assert checked_url(address) == address


@pytest.mark.parametrize("key", ["sk-a b", "sk-\r\nX-Evil: 1", "schlüssel"])
def test_unusable_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
        resolve(ModelSettings(), {"OPENAI_API_KEY": key})
    assert key not in str(caught.value)


def test_repr_hides_the_key() -> None:
    assert KEY not in repr(Endpoint("http://x/v1", KEY))


@pytest.mark.parametrize(
    ("base_url", "loopback"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8/v1", True),
        ("http://10.0.0.5/v1", False),
        ("https://localhost.evil.org/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_loopback_is_told_from_the_rest(base_url: str, loopback: bool) -> None:
    assert Endpoint(base_url, KEY).is_loopback is loopback


async def test_discovery_finds_servers_and_survives_the_others() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    with OpenAIServer(lambda body: "", models=["llama"]) as server:
        async with raw_server(nonsense) as odd, raw_server(silence) as mute:
            listed = [("closed", closed), ("odd", odd), ("mute", mute), ("Ollama", server.port)]
            found = await discover(listed, timeout_s=0.3)
        assert found == [Found("Ollama", server.base_url, ("llama",))]
