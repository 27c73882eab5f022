"""The source notebook of an assignment: the handout, a graded cell a part, questions that a person grades.

It is plain JSON of nbformat 4.5 with nbgrader's metadata of schema 3; nbgrader clears and checks it as it does any
other. Cells that are made here say so in their metadata, so that making the notebook again keeps what an instructor
added between them.
"""

from __future__ import annotations

import json
import re
from typing import Any

from autograder.course import Assignment, Part, Question

PART, QUESTION = "part-", "question-"  # how the grade ids of our cells begin
OURS = "autograder"  # a key of a cell's metadata
Cell = dict[str, Any]

_SECTION = re.compile(r"^(?=## )", re.MULTILINE)


def part_of(grade_id: str) -> str:
    """The part that a cell of this grade id asks for, "" for other cells."""
    return grade_id.removeprefix(PART) if grade_id.startswith(PART) else ""


def notebook(assignment: Assignment, old: str = "") -> str:
    """The notebook as JSON text. `old` is the one that is there, whose own cells stay where they were."""
    cells = _cells(assignment)
    if old:
        cells = _merged(cells, json.loads(old)["cells"])
    document = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cells(assignment: Assignment) -> list[Cell]:
    module = assignment.module
    handout = (assignment.folder / "README.md").read_text(encoding="utf-8")
    cells = [_markdown(f"handout-{n}", text.strip()) for n, text in enumerate(_SECTION.split(handout)) if text.strip()]
    cells.append(
        _markdown(
            "parts",
            f"## Your parts\n\nWrite your solution into `{module}`, beside this notebook, and hand both in. Each cell "
            f"below shows what the public properties say of one part of that file, as it was saved last. The grader "
            f"asks the same kind of questions with other inputs. Nothing that stands in these cells is graded.",
        )
    )
    cells += [_part(assignment, part) for part in assignment.parts]
    for question in assignment.questions:
        cells += _question(question)
    return cells


def _markdown(identity: str, text: str) -> Cell:
    return {"cell_type": "markdown", "id": identity, "metadata": {OURS: identity}, "source": text}


def _code(identity: str, text: str) -> Cell:
    return _markdown(identity, text) | {"cell_type": "code", "execution_count": None, "outputs": []}


def _graded(cell: Cell, grade_id: str, points: int, solution: bool) -> Cell:
    cell["metadata"]["nbgrader"] = {
        "schema_version": 3, "grade": True, "grade_id": grade_id, "locked": not solution, "points": points,
        "solution": solution, "task": False,
    }  # fmt: skip
    return cell


def _part(assignment: Assignment, part: Part) -> Cell:
    source = (
        f"# {part.title}: {part.points} points\n"
        f"from autograder.lab import check\n\n"
        f'check("{assignment.name}", "{part.name}")'
    )
    return _graded(_code(f"part-{part.name}"[:64], source), PART + part.name, part.points, solution=False)


def _question(question: Question) -> list[Cell]:
    identity = f"question-{question.name}"[:60]
    text = f"## {question.title} ({question.points} points)\n\n{question.text}"
    if question.kind == "written":
        answer = _markdown(identity, "")  # nbgrader writes its own "your answer here"
    else:
        text += "\n\nSave the notebook with the picture in it: the cell below is not run again."
        answer = _code(identity, "")
    asked = _markdown(f"{identity}-q", text)
    return [asked, _graded(answer, QUESTION + question.name, question.points, solution=True)]


def _merged(new: list[Cell], old: list[Cell]) -> list[Cell]:
    """Our cells as they are now; every other cell stays behind the one of ours that it stood behind."""
    behind: dict[str, list[Cell]] = {}
    place = ""
    known = {cell["metadata"][OURS] for cell in new}
    for cell in old:
        own = cell["metadata"].get(OURS, "")
        if own:
            place = own if own in known else place
        else:
            behind.setdefault(place, []).append(cell)
    merged = behind.pop("", [])
    for cell in new:
        merged += [cell, *behind.get(cell["metadata"][OURS], [])]
    return merged
