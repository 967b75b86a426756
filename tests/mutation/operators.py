"""The one-line mutations of a module's conditions.

A mutant has a name that no moved line changes: where it is (module and qualified name), what stood there and
what stands there instead. Texts and type hints are left alone; what only logs is, too.
"""

from __future__ import annotations

import ast
import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_OPPOSITES: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Lt: ast.GtE(),
    ast.GtE: ast.Lt(),
    ast.Gt: ast.LtE(),
    ast.LtE: ast.Gt(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
}
_NEIGHBOURS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
}
_CHOICES = {"min": "max", "max": "min", "any": "all", "all": "any"}
_LONGEST = 100  # letters of what stood there

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_Change = tuple[str, ast.AST, str]
"""The operator's name, the node that is replaced, the text that stands there instead."""


@dataclass(frozen=True)
class Mutant:
    """One changed place of one module. `start` and `end` count bytes of the source.

    Whoever reaches `line` meets the change; a table is met by all that reach the module.
    """

    module: str
    name: str
    operator: str
    old: str
    new: str
    start: int
    end: int
    line: int
    number: int = 1

    @property
    def place(self) -> str:
        """Module and qualified name: `handler.actions.clear:Clearing._find`."""
        return f"{self.module}:{self.name}"

    @property
    def change(self) -> str:
        """What was there and what is instead; of several alike in one place, which."""
        which = f" ({self.number})" if self.number > 1 else ""
        return f"{self.old} -> {self.new}{which}"

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by, whatever line it is on."""
        return self.place, self.change

    def applied(self, source: str) -> str:
        """The module's source with this change."""
        text = source.encode()
        return (text[: self.start] + self.new.encode() + text[self.end :]).decode()

    def diff(self, source: str) -> str:
        """The change as a reader expects it."""
        path = f"{self.module.replace('.', '/')}.py"
        lines = difflib.unified_diff(
            source.splitlines(), self.applied(source).splitlines(), path, path, lineterm="", n=1
        )
        return "\n".join(lines)


def mutants_of(module: str, source: str) -> list[Mutant]:
    """All of a module's, in the order of its source."""
    starts = [0]
    for text in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    found: list[Mutant] = []
    seen: Counter[tuple[str, str]] = Counter()
    for name, line, (operator, node, new) in _everywhere(ast.parse(source)):
        start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        old = " ".join(source.encode()[start:end].decode().split())
        old = old if len(old) <= _LONGEST else old[: _LONGEST - 1] + "…"
        mutant = Mutant(module, name, operator, old, new, start, end, line)
        seen[mutant.key] += 1
        found.append(replace(mutant, number=seen[mutant.key]))
    return found


def _everywhere(tree: ast.Module) -> Iterator[tuple[str, int, _Change]]:
    for name, node in _definitions("", tree.body):
        if isinstance(node, FunctionNode):
            yield from ((name, node.body[-1].lineno, change) for change in _decorators(node))
            visitor = _Function(node.name)
            visitor.visit_body(node.body)
            changes = visitor.changes
        else:
            changes = [*_elements(node)]
        yield from ((name, change[1].lineno, change) for change in changes)  # type: ignore[attr-defined]


def _definitions(above: str, body: Iterable[ast.stmt]) -> Iterator[tuple[str, FunctionNode | ast.expr]]:
    """Functions, and the tables of a module, by qualified name."""
    for node in body:
        if isinstance(node, FunctionNode):
            yield above + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _definitions(f"{above}{node.name}.", node.body)
        elif isinstance(node, ast.Assign) and not above:
            name = node.targets[0]
            if isinstance(name, ast.Name) and not isinstance(node.value, ast.Subscript):  # no type's alias
                yield name.id, node.value


def _decorators(node: FunctionNode) -> Iterator[_Change]:
    """What is found out once is found out each time."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Name) and decorator.id == "cached_property":
            yield "decorator", decorator, "property"


def _elements(table: ast.expr) -> Iterator[_Change]:
    """Each text or number of a table that has several, left out."""
    for node in ast.walk(table):
        if isinstance(node, ast.Set | ast.Tuple | ast.List) and len(node.elts) > 1:
            for element in node.elts:
                if isinstance(element, ast.Constant) and isinstance(element.value, str | int):
                    yield "element", element, "*()"


class _Function(ast.NodeVisitor):
    """Collects the changes of one function's body."""

    def __init__(self, name: str) -> None:
        self.changes: list[_Change] = []
        self._makes = name == "__init__"
        self._turned: set[ast.AST] = set()

    def visit_body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self._statement(statement, alone=False)
            self.visit(statement)

    def _change(self, operator: str, node: ast.AST, new: str) -> None:
        self.changes.append((operator, node, new))

    def _statement(self, node: ast.stmt, *, alone: bool) -> None:
        """Leave a statement out. `alone`: its condition made false does the same."""
        dropped = isinstance(node, ast.Break | ast.Continue | ast.Raise) and not alone
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not alone:
            dropped = not _only_logs(node.value) and "super().__init__" not in ast.unparse(node)
        elif isinstance(node, ast.Assign | ast.AugAssign) and not self._makes:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            dropped = isinstance(target, ast.Attribute) or isinstance(node, ast.AugAssign)
        if dropped:
            self._change("statement", node, "pass")

    def _block(self, body: list[ast.stmt], *, guarded: bool) -> None:
        for statement in body:
            self._statement(statement, alone=guarded and len(body) == 1)

    def visit_If(self, node: ast.If) -> None:
        self._condition(node.test)
        self._block(node.body, guarded=True)
        self._block(node.orelse, guarded=True)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if not (_is_text(node.body) and _is_text(node.orelse)):
            self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._change("condition", node.test, "False")
        self._block(node.body, guarded=False)
        for part in (node.test, *node.body) if not isinstance(node.test, ast.Constant) else node.body:
            self.visit(part)

    def visit_For(self, node: ast.For) -> None:
        self._block(node.body, guarded=False)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        self._block(node.body, guarded=False)
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        for block in (node.body, node.orelse, node.finalbody):
            self._block(block, guarded=False)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self._change("handler", node.type, "()")
        self._block(node.body, guarded=False)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._block(node.body, guarded=False)
        for statement in node.body:
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        """True, then false: a comparison that is all of it, or an operand, needs no turning round as well."""
        self._change("condition", test, "True")
        self._change("condition", test, "False")
        self._turned.update(test.values if isinstance(test, ast.BoolOp) else [test])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left_out in node.values:
            kept = [value for value in node.values if value is not left_out]
            text = ast.unparse(kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept))
            self._change("operand", node, f"({text})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) > 1:  # a < b < c
            links = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
            for left, operator, right in [*links]:
                self._change("operand", node, f"({ast.unparse(ast.Compare(left, [operator], [right]))})")
        for position, operator in enumerate(node.ops):
            for kind, others in (("opposite", _OPPOSITES), ("boundary", _NEIGHBOURS)):
                if type(operator) in others and not (kind == "opposite" and node in self._turned):
                    ops = [*node.ops]
                    ops[position] = others[type(operator)]
                    self._change(
                        kind, node, f"({ast.unparse(ast.Compare(node.left, ops, node.comparators))})"
                    )
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not) and node not in self._turned:
            self._change("not", node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Sub):
            self._change("difference", node, f"({ast.unparse(ast.BinOp(node.left, ast.Add(), node.right))})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _only_logs(node):
            return
        function = node.func
        if isinstance(function, ast.Name) and function.id in _CHOICES:
            self._change("choice", function, _CHOICES[function.id])
        if isinstance(function, ast.Attribute) and function.attr == "setdefault" and len(node.args) == 2:
            self._change(
                "kept", node, f"({ast.unparse(node.args[1])})"
            )  # the first counts no more than others
        if ast.unparse(function) == "time.monotonic":
            self._change("clock", function, "time.time")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._change("constant", node, str(not node.value))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Words for people."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        """Defaults are no part of what runs."""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _only_logs(call: ast.Call) -> bool:
    return ast.unparse(call.func).endswith(("log.info", "log.debug", "log.warning"))
