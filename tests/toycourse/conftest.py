"""This course is graded by tests, and its tests are not tests of this repository."""

collect_ignore_glob = ["*"]
