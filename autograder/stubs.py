"""What a student receives: the solution file with every solution region replaced by `raise NotImplementedError`.

A region is everything between a line `### BEGIN SOLUTION` and a line `### END SOLUTION`, nbgrader's markers. It holds
whole statements of one block inside a function, so that a stub imports cleanly and fails only where it is called.
A file that breaks these rules has no stub: publishing part of a solution by mistake cannot be undone.
"""

from __future__ import annotations

import ast
from pathlib import Path

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"


class StubError(ValueError):
    """A solution file from which no stub can be made; the message names the line."""

    exit_code = 2


def stub(source: str) -> str:
    """The stub of the solution `source`.

    stub("def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n    ### END SOLUTION\\n")
        -> "def f():\\n    raise NotImplementedError\\n"

    Raises StubError for markers that are unbalanced, nested or not alone on their line, for a region that is not whole
    statements of one function's block or that holds its docstring, and for a source without any region.
    """
    blocks = _blocks(_parsed(source))
    lines = source.split("\n")
    kept: list[str] = []
    end = 0
    for begin, next_end in _regions(lines):
        _check_region(blocks, lines, begin, next_end)
        kept += lines[end:begin]
        indentation = lines[begin][: -len(BEGIN)]
        kept.append(f"{indentation}raise NotImplementedError")
        end = next_end + 1
    if not end:
        raise StubError(f"no {BEGIN} in this file: its stub would be the solution")
    result = "\n".join(kept + lines[end:])
    _parsed(result)
    return result


def stubs_of(course_root: Path) -> dict[Path, str]:
    """The path and text of every stub of a course: `assignments/<a>/<name>.py` for each `solutions/<a>/<name>.py`."""
    stubs: dict[Path, str] = {}
    for solution in sorted(course_root.glob("solutions/*/*.py")):
        try:
            text = stub(solution.read_bytes().decode())
        except (StubError, UnicodeDecodeError) as error:
            raise StubError(f"{solution.relative_to(course_root)}: {error}") from None
        stubs[course_root / "assignments" / solution.parent.name / solution.name] = text
    return stubs


def drifted(course_root: Path) -> list[Path]:
    """The stubs that are missing or differ in any byte from what their solution generates."""
    return [
        path for path, text in stubs_of(course_root).items() if not path.is_file() or path.read_bytes() != text.encode()
    ]


def write_stubs(course_root: Path) -> list[Path]:
    """Writes the stubs that have drifted and returns their paths. Writes none if one of the solutions has no stub."""
    stubs = stubs_of(course_root)
    paths = drifted(course_root)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stubs[path].encode())
    return paths


def _parsed(source: str) -> ast.Module:
    if "\r" in source:
        raise StubError("carriage returns in this file: end its lines with a newline alone")
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise StubError(f"line {error.lineno}: {error.msg}") from None


def _regions(lines: list[str]) -> list[tuple[int, int]]:
    """The indices of the lines with the markers, region by region."""
    regions: list[tuple[int, int]] = []
    begin: int | None = None
    for index, line in enumerate(lines):
        number = index + 1
        if "BEGIN SOLUTION" not in line and "END SOLUTION" not in line:
            continue
        if line.lstrip() == BEGIN:
            if begin is not None:
                raise StubError(f"line {number}: {BEGIN} inside the region that begins on line {begin + 1}")
            begin = index
        elif line.lstrip() == END:
            if begin is None:
                raise StubError(f"line {number}: {END} without a {BEGIN}")
            regions.append((begin, index))
            begin = None
        else:
            raise StubError(f"line {number}: a marker must be exactly {BEGIN} or {END}, alone on its line")
    if begin is not None:
        raise StubError(f"line {begin + 1}: {BEGIN} without an {END}")
    return regions


_Block = tuple[ast.AST, list[ast.stmt]]  # the function, class or module that it runs in, and its statements


def _blocks(tree: ast.Module) -> list[_Block]:
    """Every list of statements in the tree, outer ones first."""
    blocks: list[_Block] = []

    def visit(node: ast.AST, scope: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            scope = node
        for _, field in ast.iter_fields(node):
            if isinstance(field, list) and field and isinstance(field[0], ast.stmt):
                blocks.append((scope, field))
        for child in ast.iter_child_nodes(node):
            visit(child, scope)

    visit(tree, tree)
    return blocks


def _check_region(blocks: list[_Block], lines: list[str], begin: int, end: int) -> None:
    where = f"line {begin + 1}"

    def inside_of(block: list[ast.stmt]) -> list[ast.stmt]:
        return [statement for statement in block if begin < _first_line(statement) < end]

    scope, block = next(((scope, block) for scope, block in blocks if inside_of(block)), (None, []))
    inside = inside_of(block)
    if not inside:
        raise StubError(f"{where}: no statement in this region")
    if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        raise StubError(f"{where}: a region must be inside the body of a function or method")
    covered = {line for statement in inside for line in range(_first_line(statement), statement.end_lineno or 0)}
    between = [line.strip() for index, line in enumerate(lines) if begin < index < end and index not in covered]
    if max(covered) > end or any(line and not line.startswith("#") for line in between):
        raise StubError(f"{where}: a region must hold whole statements of one block")
    if any(lines[marker].index("#") != inside[0].col_offset for marker in (begin, end)):
        raise StubError(f"{where}: both markers must be indented like the statements between them")
    if block is scope.body and inside[0] is block[0] and ast.get_docstring(scope) is not None:
        raise StubError(f"{where}: the docstring of {scope.name} belongs above the region")


def _first_line(statement: ast.stmt) -> int:
    """The index of the statement's first line, its decorators included."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and statement.decorator_list:
        return statement.decorator_list[0].lineno - 1
    return statement.lineno - 1
