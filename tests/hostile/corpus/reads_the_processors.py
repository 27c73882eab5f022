# reads the list of processors, which is bound inside the wall | 2 | landlock: no rule names it | landlock@full | 100
def attack():
    with open("/sys/devices/system/cpu/online") as file:
        return file.read()
