"""nbgrader's own commands, with our judge in the place of its kernel.

Theory of operation. `course.make` writes a course as nbgrader wants it: `source/<a>/` with a notebook and the stub
beside it, and a `nbgrader_config.py` that names the preprocessors of this package. From there on nbgrader's commands
are used as ever: `generate_assignment`, the exchange or plain folders, `autograde`, `generate_feedback`, `export`, the
formgrader, with its own database.

nbgrader grades by running a notebook and looking at each graded cell's output. Here nothing of a student's runs in
nbgrader's process or in a kernel: `Grade` takes the place of its `Execute`, reads `submitted/<student>/<a>/<a>.py` as
bytes, has it graded as `autograder grade` would, and writes each part's points and reasons into the part's cell, where
nbgrader's own `SaveAutoGrades` finds them. A graded cell holds a call of `autograder.lab.check`, which shows public
properties, so there is nothing hidden in notebook, database or feedback.

Traps of nbgrader 0.9, and what closes each
-------------------------------------------
- Files of `source/` are copied over the student's: the stub would be graded. `Autograde.exclude_overwriting` names the
  student's file, and it is read from `submitted/` anyway.
- `source/` is copied to `release/` with solutions in `.py` files: there is only the stub in it.
- A graded cell without output, or whose output is no number, has full points; one with text on stderr has none, one
  above its points stops the student's grading: `Grade` writes a stream on stdout and a number in range, always.
- An instructor's own tested cell would have full points where no kernel runs: that is an error here, unless
  `c.Grade.run_own_cells = True` asks for a kernel for them.
- Metadata of cells is the student's to change: `OwnCells` writes it again from the database, cells that it does not
  know lose theirs, and nbgrader's `OverwriteCells` puts back what was deleted.
- `ClearOutput` blanks what no kernel will make again: `KeepOutputs` keeps texts and pictures, marked as the student's.
- Markdown may hold scripts, and nbgrader's templates ignore nbconvert's `sanitize_html` there: the filter that
  renders it is ours (`pages`).
- A new database calls `alembic` by its name: the configuration puts the interpreter's folder on the PATH.
- There is one submission a student and assignment: each attempt has its record here, nbgrader has the newest.
- A folder without a notebook is skipped: `autograder export --to nbgrader` brings those in.
"""
