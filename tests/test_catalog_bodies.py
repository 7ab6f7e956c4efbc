"""What HeyGen documents as wrong about a body is told before it is sent, in the words of the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from batcher.bound import BoundJob
from batcher.errors import InputError

LINK = "https://files.example.com/a.mp4"
AVATAR = {"type": "avatar", "avatar_id": "a", "script": "Hello"}
IMAGE = {"type": "image", "image": LINK, "script": "Hello", "voice_id": "v"}
CINEMA = {"type": "cinematic_avatar", "prompt": "A walk", "avatar_id": ["a"]}
TRANSLATION = {"video": LINK, "output_languages": ["Spanish"]}
LIPSYNC = {"video": LINK, "audio": LINK}
SCENE = {"type": "image", "source": LINK}
V2_INPUT = {"voice": {"type": "text", "voice_id": "v", "input_text": "Hello"}}


def studio(scene: Any) -> Mapping[str, Any]:
    """A video of one scene."""
    return {"type": "studio", "scenes": [scene]}


def v2(**changes: Any) -> Mapping[str, Any]:
    """A video of version 2 with one input."""
    return {"video_inputs": [{**V2_INPUT, **changes}]}


WRONG = [
    ("heygen.video", {**AVATAR, "background": {"type": "color"}}, "request.background: 'value' is missing"),
    ("heygen.video", {**AVATAR, "background": {"type": "color", "value": "#112233", "url": LINK}}, "only goes with type image"),
    ("heygen.video", {**AVATAR, "background": "red"}, "is not a colour such as #1A2B3C"),
    ("heygen.v2.video", v2(background="dark blue"), "is not a colour such as #1A2B3C"),
    ("heygen.video", {**AVATAR, "background": {"type": "image"}}, "request.background: needs exactly one of: url, asset_id"),
    ("heygen.video", {**AVATAR, "background": {"type": "image", "url": LINK, "asset_id": "x"}}, "exactly one of: url, asset_id"),
    ("heygen.video", {**AVATAR, "background": {"type": "image", "url": LINK, "value": "#112233"}}, "only goes with type color"),
    ("heygen.video", {**AVATAR, "background": "#112233", "output_format": "webm"}, "background: cannot stand beside output_format webm"),
    ("heygen.video", {**IMAGE, "background": "#112233", "output_format": "webm"}, "background: cannot stand beside output_format webm"),
    ("heygen.video", {**AVATAR, "audio_url": LINK}, "needs exactly one of: script, audio_url, audio_asset_id"),
    ("heygen.video", {"type": "avatar", "avatar_id": "a"}, "needs exactly one of: script, audio_url, audio_asset_id"),
    ("heygen.video", {"type": "image", "image": LINK, "script": "Hello"}, "'voice_id' is missing"),
    ("heygen.video", {**AVATAR, "engine": {"type": "avatar_v"}, "expressiveness": "low"}, "avatar_v does not take it"),
    ("heygen.video", {**AVATAR, "engine": {"type": "avatar_iii"}, "expressiveness": "low"}, "avatar_iii does not take it"),
    ("heygen.video", {**AVATAR, "engine": {"type": "avatar_iii"}, "motion_prompt": "wave"}, "avatar_iii does not take it"),
    ("heygen.video", {**IMAGE, "engine": {"type": "avatar_iv"}}, "unknown key 'engine'"),
    ("heygen.video", {**AVATAR, "voice_settings": {"speed": 2}}, "request.voice_settings.speed: 2 is more than 1.5"),
    ("heygen.video", {**CINEMA, "duration": 5, "auto_duration": True}, "duration: cannot stand beside auto_duration true"),
    ("heygen.video", {**CINEMA, "duration": 3}, "request.duration: 3 is less than 4"),
    ("heygen.video", {**CINEMA, "avatar_id": ["a", "b", "c", "d"]}, "has 4 entries; 3 are allowed"),
    ("heygen.video", {**CINEMA, "aspect_ratio": "4:5"}, "'4:5' is not one of: 16:9, 9:16, 1:1"),
    ("heygen.video", studio({**SCENE, "duration": 5, "script": "Hello", "voice_id": "v"}), "exactly one of: duration, script"),
    ("heygen.video", studio(SCENE), "needs exactly one of: duration, script, audio_url, audio_asset_id"),
    ("heygen.video", studio({**SCENE, "script": "Hello"}), "'voice_id' is missing"),
    ("heygen.video", studio({**SCENE, "duration": 301}), "301 is more than 300"),
    ("heygen.translation", {**TRANSLATION, "start_time": 9, "end_time": 4}, "request.end_time: must be after start_time"),
    ("heygen.translation", {**TRANSLATION, "fps_mode": "cfr"}, "request.fps_mode: only counts beside an audio track"),
    ("heygen.translation", {**TRANSLATION, "srt_role": "input"}, "request.srt_role: says what srt is for"),
    ("heygen.lipsync", {**LIPSYNC, "start_time": 4, "end_time": 4}, "request.end_time: must be after start_time"),
    ("heygen.speech", {"text": "Hello", "voice_id": "v", "speed": 3}, "request.speed: 3 is more than 2"),
    ("heygen.video_agent", {"prompt": "A", "mode": "chat"}, "request.mode: only generate works in bulk"),
    ("heygen.v2.video", v2(voice={"type": "audio"}), "needs exactly one of: audio_url, audio_asset_id"),
    ("heygen.v2.video", v2(background={"type": "image"}), "needs exactly one of: url, image_asset_id"),
    ("heygen.v2.translation", {"video_url": LINK}, "needs exactly one of: output_language, output_languages"),
]  # fmt: skip
"""(operation, request, what is said)."""


@pytest.mark.parametrize(("operation", "request_", "said"), WRONG)
def test_a_job_that_is_wrong_for_every_row_is_told_at_its_key(
    bind: Callable[..., BoundJob], make_row: Callable[..., dict[str, str]], operation: str, request_: Any, said: str
) -> None:
    """One sentence with file and line instead of a refusal for every row."""
    bound = bind(make_row(), operation=operation, request=request_)
    with pytest.raises(InputError) as caught:
        flaws(bound)
    told = [str(each) for each in caught.value.problems]
    assert any(said in each and each.startswith("job.yaml:") for each in told), told


def flaws(bound: BoundJob) -> list[list[tuple[str, str]]]:
    """What is said about each row."""
    return [list(task.flaws) for row in bound.rows() for task in bound.tasks(row)]


def test_times_of_a_row_are_compared_at_its_cell(bind: Callable[..., BoundJob]) -> None:
    """The cell that comes from the sheet is named, whichever of the two it is."""
    rows = [{"id": "a", "Till": "4"}, {"id": "b", "Till": "12"}, {"id": "c", "Till": ""}]
    request = {**TRANSLATION, "start_time": 9, "end_time": "{{ Till? }}"}
    bound = bind(*rows, operation="heygen.translation", request=request)
    assert flaws(bound) == [[("people.csv!B2", "end_time: must be after start_time")], [], []]

    request = {**TRANSLATION, "start_time": "{{ Till? }}", "end_time": 9}
    bound = bind(*rows, operation="heygen.translation", request=request)
    assert flaws(bound) == [[], [("people.csv!B3", "end_time: must be after start_time")], []]


def test_a_row_that_makes_a_fixed_key_wrong_is_invalid_alone(bind: Callable[..., BoundJob]) -> None:
    """The background is the job's and right for most rows; only the row that asks for webm cannot have it."""
    rows = [{"id": "a", "Format": "mp4"}, {"id": "b", "Format": "webm"}]
    request = {**AVATAR, "background": "#112233", "output_format": "{{ Format }}"}
    bound = bind(*rows, operation="heygen.video", request=request)
    first, second = flaws(bound)
    assert not first
    assert second[0][0] == "people.csv row 3"
    assert second[0][1].startswith("background: cannot stand beside output_format webm")


def test_a_flaw_in_a_shortened_list_is_told_at_its_own_cell(bind: Callable[..., BoundJob]) -> None:
    """An optional member that is left out does not shift the complaint about the next one into its cell."""
    request = {**CINEMA, "references": ["{{ One? }}", "{{ Two? }}", "{{ Three? }}"]}
    row = {"id": "a", "One": "", "Two": "https://files.example.com/a.png", "Three": "http://insecure.example.com/b.png"}
    ((flaw,),) = flaws(bind(row, operation="heygen.video", request=request))
    assert flaw[0] == "people.csv!D2"
    assert "https://" in flaw[1]
