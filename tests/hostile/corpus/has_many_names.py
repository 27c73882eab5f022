# has fifteen thousand names | 69 | intake: 256 KiB of source | always harmless: half a second | 0 failed/timeout
exec("\n".join(f"a{number} = {number}" for number in range(15000)))
