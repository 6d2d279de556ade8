"""What each package offers is there."""

from __future__ import annotations

import ast
import importlib

import pytest
from docs_reading import ROOT, named

MODULES = sorted((ROOT / "autosynth_core").rglob("*.py"))
PACKAGES = [path for path in MODULES if path.name == "__init__.py"]


def dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("name", [dotted(named(path)) for path in MODULES])
def test_offered_names_exist_once(name: str) -> None:
    module = importlib.import_module(name)
    offered = list(getattr(module, "__all__", []))
    assert [each for each in offered if not hasattr(module, each)] == []
    assert len(offered) == len(set(offered))


@pytest.mark.parametrize("name", [dotted(named(path)) for path in MODULES])
def test_module_says_what_it_is(name: str) -> None:
    assert len(importlib.import_module(name).__doc__ or "") > 20


@pytest.mark.parametrize("package", [dotted(named(path)) for path in PACKAGES])
def test_package_that_holds_something_says_what_it_offers(package: str) -> None:
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    holds = any(isinstance(node, ast.FunctionDef | ast.ClassDef) or _gathers(node) for node in tree.body)
    assert not holds or importlib.import_module(package).__all__


def _gathers(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autosynth_core")
