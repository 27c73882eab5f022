# nests brackets deeper than a parser goes | 69 | only a worker compiles | not switched off: nobody else compiles | 0 failed/crashed/out_of_memory
exec("(" * 100000)
