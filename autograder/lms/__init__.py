"""Where courses already live: nbgrader, Gradescope, GitHub, Canvas, Moodle.

    feedback     what a student may read of a record, as plain text and as Markdown
    nbgrader/    a ready course, graded by our judge in the place of nbgrader's kernel
    layouts      bulk downloads, recognised as they are
    times        when things were handed in, where a download does not say
    export       scores into the instructor's own files
    gradescope   an autograder.zip, and an export graded here
    ci           one submission on each push

All of it is the instructor's; the students' kit has none of it. Nothing here runs or parses a submission, and every
text that a student may have chosen goes through the encoder of its sink (`reports.escape`).
"""
