"""The newest value goes to all who wait, from one thread to another."""

import asyncio
import contextlib
import threading

from realtime.view.latest_value import Latest


def test_every_watcher_gets_the_newest_value_and_none_gets_what_came_between() -> None:
    async def main() -> list[list[int]]:
        latest: Latest[int] = Latest()

        async def look(until: int) -> list[int]:
            seen = []
            with latest.watch() as watcher:
                async for value in watcher:
                    seen.append(value)
                    if value >= until:
                        return seen
            return seen

        latest.publish(1)
        looking = [asyncio.create_task(look(50)) for _ in range(3)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: [latest.publish(n) for n in range(2, 51)])
        thread.start()
        thread.join()
        seen = await asyncio.gather(*looking)
        assert not latest.watched
        return seen

    for seen in asyncio.run(main()):
        assert seen[0] == 1
        assert seen[-1] == 50
        assert len(seen) <= 3


def test_a_watcher_that_stops_waiting_leaves_nothing_behind() -> None:
    async def main() -> None:
        latest: Latest[int] = Latest()
        with latest.watch() as watcher:
            assert latest.watched
            waiting = asyncio.create_task(watcher.__anext__())
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            assert latest.publish(1) == 1
            assert await watcher.__anext__() == 1
            assert watcher.number == 1
        assert not latest.watched
        assert not latest.waiting

    asyncio.run(main())
