"""Planted bugs of `toy`."""

from autograder.judge import Bug

_MEAN = "x[..., max(0, t + 1 - window) : t + 1].mean(-1)"

BUGS = [
    Bug(
        "divides_by_the_window",
        part="moving_average",
        killed_by="test_is_the_mean_of_the_last_entries",
        edit=(_MEAN, "x[..., max(0, t + 1 - window) : t + 1].sum(-1) / window"),
        hint="The first entries are divided by `window`, though fewer entries were summed.",
    ),
    Bug(
        "one_entry_too_many",
        part="moving_average",
        killed_by="test_is_the_mean_of_the_last_entries",
        edit=(_MEAN, "x[..., max(0, t - window) : t + 1].mean(-1)"),
        hint="The window holds one entry too many.",
    ),
    Bug(
        "accepts_any_window",
        part="moving_average",
        killed_by="test_refuses_a_window_of_nothing",
        edit=("if window < 1:", "window = max(window, 1)\n    if window < 1:"),
        hint="A window below 1 is taken for 1 and not refused.",
    ),
    Bug(
        "windows_of_at_most_two",
        part="moving_average",
        killed_by="test_is_the_mean_of_the_last_entries",
        edit=(_MEAN, "x[..., max(0, t + 1 - min(window, 2)) : t + 1].mean(-1)"),
        hint="A window never grows beyond two entries.",
    ),
    Bug(
        "ignores_case",
        part="runs",
        killed_by="test_finds_every_run",
        edit=("for character in text:", "for character in text.casefold():"),
        hint="`A` and `a` are taken for one character.",
    ),
    Bug(
        "forgets_the_last_run",
        part="runs",
        killed_by="test_finds_every_run",
        edit=("return found", "return found[:-1]"),
        hint="The last run is missing.",
    ),
    Bug(
        "counts_to_fifty",
        part="runs",
        killed_by="test_counts_long_runs",
        edit=("count + 1", "min(50, count + 1)"),
        hint="A run is cut off at fifty.",
    ),
    Bug(
        "never_joins_runs",
        part="tape",
        killed_by="test_a_tape_reads_as_what_was_written",
        edit=("if self.kept and self.kept[-1][0] == character:", "if not character:"),
        hint="A run that goes on from an earlier `write` is kept as a second one.",
    ),
    Bug(
        "erases_whole_runs",
        part="tape",
        killed_by="test_a_tape_reads_as_what_was_written",
        edit=("if count > 1:", "if not character:"),
        hint="`erase` takes the whole last run away.",
    ),
    Bug(
        "counts_runs",
        part="tape",
        killed_by="test_a_tape_knows_its_length",
        edit=("return sum(count for _, count in self.kept)", "return len(self.kept)"),
        hint="`length` counts runs, not characters.",
    ),
]
