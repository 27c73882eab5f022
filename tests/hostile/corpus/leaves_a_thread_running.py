# leaves a thread that prints and computes after its answers | 28 | judge: counts what it is told and when; the process ends with its test | always harmless: only its own time | 0 failed
import threading


def run():
    while True:
        print("still here", sum(range(1000)))


threading.Thread(target=run, daemon=True).start()
