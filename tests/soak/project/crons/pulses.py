from pillars import every, job


@job(name="pulse")
async def pulse() -> None: ...


beat = every("1s", pulse, name="beat", overlap="allow")
