"""Where the models are.

Owns the reading of settings and environment into one endpoint, the checking of its address, and the search for model
servers on this machine. Talking to an endpoint is the client's business.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
import httpx2

from autosynth_core.config import ModelSettings
from autosynth_core.errors import SettingsError

OPENAI = "https://api.openai.com/v1"
NO_KEY = "no-key"  # local servers take any key, and the OpenAI client insists on one
LOCAL_SERVERS = (("Ollama", 11434), ("LM Studio", 1234), ("vLLM", 8000))

_EXAMPLE = "such as https://api.openai.com/v1 or http://localhost:11434/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible server. Its representation does not show the key."""

    base_url: str
    api_key: str = field(repr=False)
    embedded: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether it runs on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


@dataclass(frozen=True, slots=True)
class Found:
    """A model server that answers on this machine."""

    name: str
    base_url: str
    models: tuple[str, ...]


def resolve(settings: ModelSettings, environ: Mapping[str, str]) -> Endpoint | None:
    """The endpoint to use; None: the embedded model, as neither an address nor a key is given.

    Raises SettingsError for an address or a key that can't be used.
    """
    key = environ.get("OPENAI_API_KEY", "").strip()
    given = settings.base_url.strip()
    address = given or environ.get("OPENAI_BASE_URL", "").strip()
    if not address and not key:
        return None
    if any(not "!" <= letter <= "~" for letter in key):
        raise SettingsError("The key in OPENAI_API_KEY has spaces or letters no key has; copy it again.")
    source = "The base URL" if given else "OPENAI_BASE_URL"
    return Endpoint(checked_url(address or OPENAI, source), key or NO_KEY)


def checked_url(address: str, source: str = "The base URL") -> str:
    """``address`` without a trailing slash and with ``/v1`` where it has no path. Raises SettingsError."""
    try:
        parts = urlsplit(address)
        port_is_usable = parts.port != 0
    except ValueError:
        raise SettingsError(f"{source} is not a web address; give one {_EXAMPLE}.") from None
    if complaint := _complaint(address, parts, port_is_usable):
        raise SettingsError(f"{source} {complaint}; give one {_EXAMPLE}.")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def redirect_target(asked: str, location: str) -> str:
    """The base URL that a redirection of the address ``asked`` points to; "" where it points to nothing usable."""
    try:
        parts = urlsplit(urljoin(asked, location)) if location else urlsplit("")
        path = parts.path.removesuffix("/chat/completions").removesuffix("/models").rstrip("/")
        there = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        checked_url(there)
    except (ValueError, SettingsError):  # whatever a server likes to write there
        return ""
    return there


def _complaint(address: str, parts: SplitResult, port_is_usable: bool) -> str:
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password, which belongs into OPENAI_API_KEY"
    if any(letter.isspace() or not letter.isprintable() for letter in address):
        return "has spaces in it, or characters that no address has"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname or not port_is_usable or not _can_be_looked_up(address):
        return "names no server"
    if parts.query or parts.fragment:
        return "has a question mark or a # in it"
    return ""


def _can_be_looked_up(address: str) -> bool:
    """Whether the network layers take the host: they raise errors of other kinds than for one that is not there."""
    try:
        httpx2.URL(address).raw_host.decode("ascii").encode("idna")
    except (httpx2.InvalidURL, ValueError):  # UnicodeError, of labels that are empty or too long, is a ValueError
        return False
    return True


async def discover(servers: Sequence[tuple[str, int]] = LOCAL_SERVERS, *, timeout_s: float = 0.7) -> list[Found]:
    """The model servers among ``servers`` (name, port) that answer on loopback, in that order. Never raises."""
    wait = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=wait, trust_env=False) as session:
        found = await asyncio.gather(*(_ask(session, name, port) for name, port in servers))
    return [server for server in found if server is not None]


async def _ask(session: aiohttp.ClientSession, name: str, port: int) -> Found | None:
    base_url = f"http://127.0.0.1:{port}/v1"
    try:
        async with session.get(f"{base_url}/models", allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = await response.read()
        return Found(name, base_url, tuple(model_ids(json.loads(body))))
    except (aiohttp.ClientError, OSError, ValueError, RecursionError):  # something else listens there
        return None


def model_ids(listing: object) -> list[str]:
    """The ids in a ``/v1/models`` listing. Raises ValueError when it is none."""
    rows = listing.get("data") if isinstance(listing, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no list of models")
    ids = (row.get("id") for row in rows if isinstance(row, dict))
    return [name for name in ids if isinstance(name, str) and name]
