# leaves code in torch's compiler cache for the next submission | 12 | each worker has a cache folder of its own | not switched off: no cache is shared | 100
import os


def attack():
    folder = os.environ["TORCHINDUCTOR_CACHE_DIR"]
    found = os.path.exists(folder) and os.listdir(folder)
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, "planted.py"), "w").close()
    return found
