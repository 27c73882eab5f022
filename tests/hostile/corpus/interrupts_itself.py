# raises KeyboardInterrupt while it is imported | 47 | worker: it is an exception like any other | always harmless: only its own process | 0 failed
raise KeyboardInterrupt
