from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.train.alignment import SHORTEST, align
from engine.train.data import coarticulation, people
from engine.train.data.coarticulation import PHONES
from engine.train.data.people import PEOPLE
from engine.train.data.speech import Voice, draw_line, speak
from engine.types import SAMPLE_RATE_HZ
from tests.train.installed import require_people
from tests.train.test_voices import levels_db


def test_alignment_finds_what_was_said_when_and_the_pauses() -> None:
    rng = np.random.default_rng(0)
    said = [PHONES.index(name) for name in ("pau", "p", "ah", "pau", "m", "m", "iy", "pau")]
    lengths = [12, 8, 20, 15, 9, 7, 18, 30]
    truth = np.repeat(said, lengths)
    scores = rng.normal(-4.0, 1.0, (len(truth), len(PHONES)))
    scores[np.arange(len(truth)), truth] += 3.0
    times, score = align(scores.astype(np.float32), [phone for phone in said if PHONES[phone] != "pau"])
    assert [phone for phone, _ in times] == said
    ends = np.cumsum(lengths)
    off = np.abs(np.array([end for _, end in times]) - ends)
    assert np.all(np.delete(off, 4) <= 2)  # nothing tells where one m ends and the next begins
    assert times[-1][1] == len(truth)
    assert score == pytest.approx(-1.0, abs=0.3)


def test_alignment_gives_every_phone_its_shortest_time() -> None:
    phones = [PHONES.index(name) for name in ("k", "ae", "t")]
    times, _ = align(np.zeros((4 * SHORTEST, len(PHONES)), np.float32), phones)
    ends = [0, *(end for _, end in times)]
    lengths = {phone: end - start for (phone, _), start, end in zip(times, ends, ends[1:], strict=False)}
    assert all(lengths[phone] >= SHORTEST for phone in phones)


@pytest.mark.parametrize("name", list(PEOPLE))
def test_alignments_name_known_phones_in_order_of_time(name: str) -> None:
    found = people.aligned(name)
    assert len(found) > 100
    for phones in found.values():
        ends = [end for _, end in phones]
        assert {phone for phone, _ in phones} <= set(PHONES)
        assert all(a < b for a, b in itertools.pairwise(ends))


@pytest.mark.parametrize("name", list(PEOPLE))
def test_people_close_their_lips_where_the_alignment_says_so(name: str) -> None:
    require_people()
    rng, voice = np.random.default_rng(0), Voice("people", name)
    drops_db = []
    for one in speak([draw_line(voice, rng) for _ in range(40)], voice):
        assert abs(one.phones[-1].end_s - len(one.samples) / SAMPLE_RATE_HZ) < 0.05
        for before, phone, after in zip(one.phones, one.phones[1:], one.phones[2:], strict=False):
            if phone.name in ("p", "t", "k") and {before.name, after.name} <= coarticulation.VOWELS:
                vowels_db = [float(np.median(levels_db(one.samples, v))) for v in (before, after)]
                drops_db.append(min(vowels_db) - levels_db(one.samples, phone).min())
    assert len(drops_db) >= 5
    assert np.median(drops_db) > 12.0
