from jobs.work import ping
from pillars import every

beat = every("1s", ping, name="beat", catchup="all", overlap="allow")
