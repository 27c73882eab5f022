# raises SystemExit(0) while it is imported | 47 | worker: only the judge ends a conversation | one process: exit code | 0 failed
raise SystemExit(0)
