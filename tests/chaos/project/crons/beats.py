from jobs.storm import beat
from pillars import every

FIVE = [
    every("1s", beat, name=f"beat{number}", catchup="all", overlap="allow")
    for number in range(1, 6)
]
beat1, beat2, beat3, beat4, beat5 = FIVE
