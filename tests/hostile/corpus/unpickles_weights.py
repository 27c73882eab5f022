# loads weights that run code when they are unpickled | 72 | only a worker loads what a submission brings | always harmless: only its own process | 0 failed
import pickle


class Payload:
    def __reduce__(self):
        return print, ("ran",)


pickle.loads(pickle.dumps(Payload()))
