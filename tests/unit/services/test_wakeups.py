"""Wake-ups: numbers that only grow, and listeners that come and go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tuipacs.services.wakeups import Versions, Wakeups


def test_each_list_has_its_own_version() -> None:
    wakeups = Wakeups()
    wakeups.content(7)
    wakeups.incoming()
    wakeups.incoming()
    wakeups.jobs()
    assert wakeups.versions == Versions(seq=7, incoming=2, jobs=1)


def test_the_seq_never_goes_back() -> None:
    """Two commits may be told in the other order."""
    wakeups = Wakeups()
    wakeups.content(9)
    wakeups.content(8)
    assert wakeups.versions.seq == 9


def test_a_listener_hears_each_change_until_it_leaves() -> None:
    wakeups = Wakeups()
    heard: list[int] = []
    leave = wakeups.listen(lambda: heard.append(wakeups.versions.seq))
    wakeups.content(1)
    wakeups.content(2)
    leave()
    wakeups.content(3)
    assert heard == [1, 2]


def test_no_change_is_lost_between_threads() -> None:
    wakeups = Wakeups()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(800):
            pool.submit(wakeups.incoming)
    assert wakeups.versions.incoming == 800
