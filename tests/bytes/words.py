"""The words that handler's own source has: what a reader looks for, the fuzzer need not guess."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import handler

_WORD = re.compile(r"[A-Za-z$+][\w$:./+-]{0,62}\w", re.ASCII)


def dictionary() -> str:
    """Each word once, as libFuzzer's `-dict` wants them."""
    texts = {text for path in Path(handler.__path__[0]).rglob("*.py") for text in _texts(path)}
    return "".join(f'"{text}"\n' for text in sorted(texts) if _WORD.fullmatch(text))


def _texts(path: Path) -> Iterator[str]:
    """Texts, and the names of models' fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
