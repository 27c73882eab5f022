# nests list comprehensions, which ended some Pythons' compilers (3.12.1, 3.13.0) | 69 | only a worker compiles | not switched off: nobody else compiles | 0 failed/crashed/out_of_memory
exec("[0 for x in " * 2000 + "[]" + "]" * 2000)
