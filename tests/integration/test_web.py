"""The control page in a real headless Chromium against a live avatar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.avatar import AvatarSession
from bridge.outputs.web import WebServer
from tests.integration.browser import Browser, wait_for
from tests.integration.page import (
    ENDPOINTS,
    fps,
    live_avatar,
    live_server,
    redness,
    state,
    write_tone,
)
from tests.require import require_program


@pytest.fixture(scope="module")
def session(toy_pack: Path) -> Iterator[AvatarSession]:
    with live_avatar(toy_pack) as live:
        yield live


@pytest.fixture(scope="module")
def server(session: AvatarSession) -> Iterator[WebServer]:
    with live_server(session) as running:
        yield running


@pytest.fixture(scope="module")
def browser(server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    require_program("chromium", "chromedriver")
    folder = tmp_path_factory.mktemp("browser")
    with Browser(folder / "profile", microphone=write_tone(folder / "microphone.wav", 30.0)) as window:
        window.open(server.url)
        wait_for(lambda: fps(window) > 0, "the first frames")
        yield window


def page_delay_ms(browser: Browser) -> int:
    """How long the page holds pictures back; with sound on, until their sound is heard."""
    told = browser.run("return document.querySelector('#latency-box').title")
    found = re.search(r"this page (\d+) ms", told)
    return int(found[1]) if found else 0


def test_page_shows_the_live_avatar(browser: Browser) -> None:
    assert browser.run("return [document.title, location.protocol]") == ["LLIA · toy", "http:"]
    wait_for(lambda: fps(browser) >= 15, "15 frames a second")
    wait_for(lambda: browser.text("#latency").endswith("ms"), "the latency")
    assert 80 <= int(browser.text("#latency").split()[0]) < 1_000
    width, corner, middle = browser.run(
        "const c = document.querySelector('#view'), p = c.getContext('2d');"
        "return [c.width, p.getImageData(0, 0, 1, 1).data[3], p.getImageData(64, 64, 1, 1).data[3]]"
    )
    assert (width, corner, middle) == (128, 0, 255)
    assert not browser.visible("#lost")
    assert browser.errors() == []


def test_a_file_is_spoken_and_stop_ends_it(browser: Browser, tmp_path: Path) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    quiet = redness(browser)
    browser.choose_file("#file", write_tone(tmp_path / "tone.wav", 1.5))
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    assert "tone.wav" in browser.text("#note")
    wait_for(lambda: redness(browser) > quiet + 20, "frames that show the sound")
    wait_for(lambda: state(browser) == "Idle", "the end of the file")
    wait_for(lambda: redness(browser) < quiet + 10, "quiet frames")

    browser.choose_file("#file", write_tone(tmp_path / "long.wav", 50.0))
    wait_for(lambda: state(browser) == "Speaking", "speaking again")
    browser.click("#stop")
    wait_for(lambda: state(browser) == "Idle", "idle after the barge-in")
    assert browser.errors() == []


def test_a_dropped_file_is_spoken(browser: Browser) -> None:
    browser.run(
        "const samples = new Uint8Array(16000 * 2 * 2).map((_, i) => (i % 64 < 32 ? 40 : 200));"
        "const header = new DataView(new ArrayBuffer(44)); const put = (at, text) =>"
        " [...text].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));"
        "put(0, 'RIFF'); header.setUint32(4, 36 + samples.length, true); put(8, 'WAVEfmt ');"
        "header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);"
        "header.setUint32(24, 16000, true); header.setUint32(28, 32000, true); header.setUint16(32, 2, true);"
        "header.setUint16(34, 16, true); put(36, 'data'); header.setUint32(40, samples.length, true);"
        "const files = new DataTransfer(); files.items.add(new File([header, samples], 'dropped.wav'));"
        "const event = (kind) => dispatchEvent(new DragEvent(kind, {dataTransfer: files, cancelable: true}));"
        "event('dragover'); window.overlay = document.body.className; event('drop');"
    )
    assert browser.run("return window.overlay") == "dragging"
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    browser.click("#stop")
    wait_for(lambda: state(browser) == "Idle", "idle after stop")


def test_a_file_that_is_no_sound_is_told_in_one_line(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "notes.mp3").write_text("no sound in here " * 100)
    browser.choose_file("#file", tmp_path / "notes.mp3")
    wait_for(lambda: "not an audio file" in browser.text("#note"), "the error")
    assert browser.run("return document.querySelector('#note').dataset.kind") == "error"
    assert [line for line in browser.errors() if "400" not in line] == []


def test_state_chips_work(browser: Browser) -> None:
    for value, shown in (("listening", "Listening"), ("speaking", "Speaking"), ("idle", "Idle")):
        browser.click(f"#states input[value={value}]")
        wait_for(lambda shown=shown: state(browser) == shown, shown)
    browser.click("#states input[value=auto]")
    wait_for(lambda: state(browser) == "Idle", "idle by itself")


def test_microphone_drives_the_avatar(browser: Browser) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    quiet = redness(browser)
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    wait_for(lambda: redness(browser) > quiet + 20, "frames that show the microphone's sound")
    assert browser.visible("#level")
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Idle", "idle after the microphone")
    assert not browser.visible("#level")
    assert browser.errors() == []


def test_sound_on_keeps_pictures_in_step(browser: Browser, tmp_path: Path) -> None:
    browser.click("#sound")
    wait_for(lambda: browser.text("#sound").strip() == "Mute", "sound on")
    browser.choose_file("#file", write_tone(tmp_path / "tone.wav", 1.0))
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    wait_for(lambda: page_delay_ms(browser) > 40, "pictures that wait for their sound")
    assert fps(browser) >= 15
    browser.click("#sound")
    wait_for(lambda: browser.text("#sound").strip() == "Turn sound on", "muted")
    wait_for(lambda: page_delay_ms(browser) < 40, "pictures that come at once")
    assert browser.errors() == []


def test_backgrounds_and_addresses(browser: Browser) -> None:
    browser.click("#backgrounds input[value='#00b140']")
    colour = browser.run("return getComputedStyle(document.querySelector('#stage')).backgroundColor")
    wait_for(
        lambda: (
            browser.run("return getComputedStyle(document.querySelector('#stage')).backgroundColor")
            == "rgb(0, 177, 64)"
        ),
        f"the green screen (it was {colour})",
    )
    browser.click("#backgrounds input[value=checker]")
    listed = browser.run("return [...document.querySelectorAll('#endpoints code')].map((c) => c.textContent)")
    assert listed[:-1] == list(ENDPOINTS.values()) and listed[-1].endswith("/view")
    assert browser.run("return document.querySelectorAll('#endpoints button').length") == len(listed)


def test_controls_have_names_and_take_the_keyboard(browser: Browser) -> None:
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, canvas, meter')].filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()))"
        ".map((e) => e.id || e.outerHTML)"
    )
    assert nameless == []
    unreachable = browser.run(
        "return [...document.querySelectorAll('button')].filter((e) => { e.focus();"
        " return e.checkVisibility() && document.activeElement !== e; }).map((e) => e.id)"
    )
    assert unreachable == []


def test_statistics_are_drawn(browser: Browser) -> None:
    wait_for(lambda: browser.run("return document.querySelectorAll('#legend li').length") >= 2, "stages")
    wait_for(
        lambda: browser.run(
            "const c = document.querySelector('#chart');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return d.some((value, i) => i % 4 === 0 && value > 150 && d[i + 2] < 150)"
        ),
        "the chart's first colour",
    )
    legend = browser.text("#delay-legend")
    assert "listens ahead83 ms" in legend and "computes" in legend and "transport" in legend
    wait_for(lambda: browser.text("#waiting") == "0 ms", "the queue's length")
    wait_for(lambda: browser.text("#first-frame").endswith("ms"), "the last speech's first frame")


def test_only_what_is_offered_is_shown(browser: Browser) -> None:
    for card in ("avatars", "microphone", "recording"):
        assert not browser.visible(f"#{card}-card"), card
    for shown in ("#stop", "#states", "#expression-card"):
        assert browser.visible(shown), shown


def test_push_to_talk_and_mute_of_the_browsers_microphone(browser: Browser) -> None:
    wait_for(lambda: state(browser) == "Idle", "idle")
    browser.click("#microphone")
    wait_for(lambda: state(browser) == "Speaking", "speaking")
    browser.click("#own-microphone .mute")
    wait_for(lambda: state(browser) == "Idle", "idle when muted")
    browser.click("#own-microphone input[value=push_to_talk]")
    browser.click("#own-microphone .mute")
    assert browser.visible("#own-microphone .talk") and not browser.visible("#level")
    press = "const b = document.querySelector('#own-microphone .talk'); b.focus();"
    browser.run(press + "b.dispatchEvent(new KeyboardEvent('keydown', {key: ' '}))")
    wait_for(lambda: state(browser) == "Speaking", "speaking while held")
    browser.run(press + "b.dispatchEvent(new KeyboardEvent('keyup', {key: ' '}))")
    wait_for(lambda: state(browser) == "Idle", "idle after letting go")
    browser.click("#own-microphone input[value=open]")
    browser.click("#microphone")
    assert not browser.visible("#own-microphone")
    assert browser.errors() == []


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (400, 800)])
def test_nothing_is_cut_off(browser: Browser, width: int, height: int) -> None:
    browser.resize(width, height)
    try:
        too_wide = browser.run(
            "return [...document.body.querySelectorAll('*')].filter((e) => e.checkVisibility() &&"
            " e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.id || e.outerHTML.slice(0, 80))"
        )
        assert too_wide == []
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.resize(1280, 800)
