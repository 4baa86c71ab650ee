"""Where the log is cut into blocks, by position and, where images come slowly, by the time of the log."""

from models.tagging.calibration.schedule import SLOW, SLOW_MS, STAGES, Schedule

LAST = STAGES[-1]
NOON_MS = 1_800_000_000_000


def begins(count, step_ms, first=0):
    """Positions from `first` on at which a block begins, of a log with a record every `step_ms`."""
    schedule, found = Schedule(begin=first, began_ms=NOON_MS), []
    for position in range(first, first + count):
        schedule.enter(position, NOON_MS + step_ms * (position - first))
        if schedule.begin == position:
            found.append(position)
    return found


def test_blocks_follow_the_stages():
    found = begins(8192, 0)
    assert found[:6] == [0, 64, 128, 192, 256, 512]
    assert found[-4:] == [4096, 5120, 6144, 7168]
    assert found == sorted(found)


def test_the_sample_is_the_first_of_a_block():
    schedule = Schedule(begin=1024)
    assert [schedule.sample_left(position) for position in (1024, 1087, 1088, 1500)] == [64, 1, 0, 0]
    assert schedule.together(1024, [0] * 100) == 64
    assert schedule.together(1088, [0] * 1000) == 512 - 64
    assert schedule.together(1100, [0] * 3) == 3


def test_a_fast_log_is_cut_by_position_alone():
    assert begins(2 * LAST.block + 1, 50, LAST.start) == [
        LAST.start,
        LAST.start + LAST.block,
        LAST.start + 2 * LAST.block,
    ]


def test_a_slow_log_is_cut_by_its_time_too():
    a_second_each = begins(8001, 1000, LAST.start)
    assert a_second_each == [LAST.start, LAST.start + SLOW_MS // 1000, LAST.start + 2 * SLOW_MS // 1000]
    a_minute_each = begins(2 * SLOW + 1, 60_000, LAST.start)
    assert a_minute_each == [LAST.start, LAST.start + SLOW, LAST.start + 2 * SLOW]


def test_early_blocks_are_short_already_and_ignore_the_time():
    assert begins(4096, 60_000) == begins(4096, 0)


def test_records_without_a_time_are_cut_by_position():
    schedule = Schedule(begin=LAST.start, began_ms=NOON_MS)
    schedule.enter(LAST.start + SLOW, 0)
    assert schedule.begin == LAST.start


def test_what_goes_together_ends_before_a_late_record():
    schedule = Schedule(begin=LAST.start, began_ms=NOON_MS)
    times_ms = [NOON_MS] * 2000 + [NOON_MS + SLOW_MS] * 1000
    assert schedule.together(LAST.start + 64, times_ms) == 2000
    assert schedule.together(LAST.start + 2064, times_ms[2000:]) == LAST.sample
    assert schedule.begin == LAST.start + 2064
    late_too_soon = Schedule(begin=LAST.start, began_ms=NOON_MS)
    assert late_too_soon.together(LAST.start + 64, [NOON_MS + SLOW_MS] * 3000) == SLOW - 64
