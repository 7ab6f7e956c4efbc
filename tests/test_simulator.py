"""The simulator answers as HeyGen documents, counts what it was asked for, and misbehaves exactly as told."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import batcher.simulator
from batcher.simulator import HOSTILE, Behaviour, Running, serve, start
from batcher.simulator.chance import render_time
from batcher.simulator.contract import description, response_schema
from batcher.simulator.limits import LIMITS
from batcher.simulator.media import content, sniffed
from batcher.simulator.shelf import BadToken, Shelf
from batcher.simulator.tally import most_in_window

VIDEO = {"type": "avatar", "avatar_id": "look_abigail_office", "script": "Hello there."}
CLIP = {"type": "url", "url": "https://example.com/clip.mp4"}
PNG = content("x.png")
AGES = 1_000_000.0


class Client:
    """
    Asks one simulator, on loopback only.

    Attributes:
        running: The simulator.
    """

    def __init__(self, running: Running) -> None:
        self.running = running
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["X-Api-Key"] = "test-key"

    def get(self, path: str, **query: object) -> requests.Response:
        """Return the answer to a GET of the API."""
        return self._session.get(self.running.url + path, params={k: str(v) for k, v in query.items()}, timeout=10)

    def post(self, path: str, body: Any, *, key: str = "") -> requests.Response:
        """Return the answer to a POST of the API."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._session.post(self.running.url + path, json=body, headers=headers, timeout=10)

    def call(self, method: str, url: str, **rest: Any) -> requests.Response:
        """Return the answer to any request; a path goes to the simulator."""
        address = url if url.startswith("http") else self.running.url + url
        return self._session.request(method, address, timeout=10, **rest)

    def video(self, **changes: object) -> str:
        """Make a video and return its id."""
        answer = self.post("/v3/videos", {**VIDEO, **changes})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["video_id"])

    def shown(self, video_id: str) -> dict[str, Any]:
        """Return a video as it is shown now."""
        shown: dict[str, Any] = self.get(f"/v3/videos/{video_id}").json()["data"]
        return shown


Make = Callable[..., Client]


@pytest.fixture
def make() -> Iterator[Make]:
    """Start simulators that render in ten seconds each, stop them at the end."""
    running: list[Running] = []

    def start_one(*hostile: str, **changes: Any) -> Client:
        running.append(start(Behaviour(**{"render_s": 10.0, "spread": 0.0, "hostile": frozenset(hostile), **changes})))
        return Client(running[-1])

    yield start_one
    for one in running:
        one.stop()


@pytest.fixture
def client(make: Make) -> Client:
    """A simulator that behaves."""
    return make()


def error_of(answer: requests.Response) -> tuple[int, str, str | None]:
    """Return status, code and param of an error."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


REFUSED_VIDEOS: Mapping[str, tuple[dict[str, Any], str | None]] = {
    "unknown field": ({"nope": 1}, "nope"),
    "unknown nested field": ({"voice_settings": {"sped": 1}}, "voice_settings.sped"),
    "unknown type": ({"type": "hologram"}, "type"),
    "wrong kind of value": ({"title": 5}, "title"),
    "field of another variant": ({"prompt": "x"}, "prompt"),
    "folder_id": ({"folder_id": "f"}, "folder_id"),
    "empty script": ({"script": ""}, "script"),
    "script too long": ({"script": "x" * 5001}, "script"),
    "two sources of speech": ({"audio_url": "https://example.com/a.mp3"}, "script"),
    "no source of speech": ({"script": None}, "script"),
    "too fast": ({"voice_settings": {"speed": 1.6}}, "voice_settings.speed"),
    "resolution": ({"resolution": "480p"}, "resolution"),
    "engine": ({"engine": {"type": "avatar_ix"}}, "engine.type"),
    "background without value": ({"background": {"type": "color"}}, "background.value"),
    "background of no colour": ({"background": {"type": "color", "value": "red"}}, "background.value"),
    "plain http": ({"callback_url": "http://example.com/"}, "callback_url"),
}


@pytest.mark.parametrize("case", REFUSED_VIDEOS)
def test_refuses_a_video_that_the_api_does_not_describe(client: Client, case: str) -> None:
    """A field too many or a value out of range is 400 with the field's name, and nothing is charged."""
    changes, param = REFUSED_VIDEOS[case]

    answer = client.post("/v3/videos", {**VIDEO, **changes})

    assert error_of(answer) == (400, "invalid_parameter", param)
    assert client.running.charges() == []


def test_says_extra_inputs_as_the_real_api_does(client: Client) -> None:
    """The message of an unknown field is known word for word."""
    answer = client.post("/v3/videos", {**VIDEO, "nope": 1})

    assert answer.json()["error"]["message"] == "Extra inputs are not permitted"


def test_asks_for_required_fields(client: Client) -> None:
    """A missing field is named."""
    assert error_of(client.post("/v3/videos", {"type": "avatar", "script": "Hi"})) == (
        400,
        "invalid_parameter",
        "avatar_id",
    )
    assert error_of(client.post("/v3/videos", {})) == (400, "invalid_parameter", "type")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"[" * 100_000, b'"text"', b"\xff"])
def test_refuses_what_is_not_an_object(client: Client, raw: bytes) -> None:
    """Broken JSON is the client's fault, never a 500."""
    answer = client.call("POST", "/v3/videos", data=raw)

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v3/videos", {**VIDEO, "avatar_id": "nobody"}, "avatar_not_found"),
        ("/v3/videos", {**VIDEO, "voice_id": "nobody"}, "voice_not_found"),
        ("/v3/templates/tpl_none", {"variables": {"a": {"type": "text", "content": ""}}}, "template_not_found"),
        ("/v3/videos", {"type": "avatar", "avatar_id": "look_mei", "audio_asset_id": "none"}, "asset_not_found"),
        ("/v3/voices/speech", {"text": "Hi", "voice_id": "nobody"}, "voice_not_found"),
    ],
)
def test_does_not_find_what_does_not_exist(client: Client, path: str, body: Any, code: str) -> None:
    """An id that the account does not have is 404 with the code of its kind."""
    assert error_of(client.post(path, body))[:2] == (404, code)


def test_wants_a_voice_where_the_avatar_has_none(client: Client) -> None:
    """A script needs somebody who speaks it."""
    body = {"type": "avatar", "avatar_id": "look_mei", "script": "Hi"}

    assert error_of(client.post("/v3/videos", body)) == (400, "invalid_parameter", "voice_id")
    assert client.post("/v3/videos", {**body, "voice_id": "voice_anna"}).status_code == 200


def test_makes_all_four_kinds_of_videos(client: Client) -> None:
    """Avatars, images, prompts and scenes share one endpoint."""
    image = {"type": "image", "image": CLIP, "script": "Hi", "voice_id": "voice_ben"}
    cinematic = {"type": "cinematic_avatar", "prompt": "A walk", "avatar_id": ["look_mei"]}
    scenes = [
        {"type": "avatar_video", "input": {"type": "avatar", "avatar_id": "look_daniel_suit", "script": "One"}},
        {"type": "image", "source": CLIP, "duration": 5},
        {"type": "video", "source": CLIP, "playback": {"mute": True}},
    ]
    for body in (VIDEO, image, cinematic, {"type": "studio", "scenes": scenes}):
        answer = client.post("/v3/videos", body)
        assert answer.json()["data"]["status"] == "waiting", answer.text

    amounts = [charge["amount"] for charge in client.running.charges()]
    assert amounts == [0.0667, 0.05, 7.0, pytest.approx(0.0667 * 36, abs=0.001)]


VARIABLES: Mapping[str, tuple[Any, str]] = {
    "unknown variable": ({"nick": {"type": "text", "content": "A"}}, "variables.nick"),
    "wrong type": ({"first_name": {"type": "voice", "voice_id": "voice_anna"}}, "variables.first_name.type"),
    "plain text": ({"first_name": "Ann"}, "variables.first_name"),
    "nested as in v2": ({"first_name": {"type": "text", "properties": {"content": "A"}}}, "variables.first_name"),
    "too long": ({"first_name": {"type": "text", "content": "x" * 10_001}}, "variables.first_name.content"),
    "plain http": (
        {"logo": {"type": "image", "asset": {"type": "url", "url": "http://example.com/a.png"}}},
        "variables.logo.asset.url",
    ),
    "none": ({}, "variables"),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_checks_variables_against_the_template(client: Client, case: str) -> None:
    """A variable must exist in the template and have its type, flat and with media in `asset`."""
    variables, param = VARIABLES[case]

    status, code, found = error_of(client.post("/v3/templates/tpl_welcome", {"variables": variables}))

    assert (status, code) == (400, "invalid_parameter")
    assert found is not None
    assert found.startswith(param)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"dimension": {"width": 1280, "height": 1280}}, "dimension"),
        ({"dimension": {"width": 1281, "height": 720}}, "dimension.width"),
        ({"fps": 24}, "fps"),
        ({"scene_ids": ["scene_none"]}, "scene_ids"),
    ],
)
def test_checks_the_shape_of_a_template_video(client: Client, changes: Any, param: str) -> None:
    """Size, frame rate and scenes must be the template's."""
    body = {"variables": {"first_name": {"type": "text", "content": "Ann"}}, **changes}

    assert error_of(client.post("/v3/templates/tpl_welcome", body)) == (400, "invalid_parameter", param)


def test_answers_a_template_with_the_whole_video(client: Client) -> None:
    """POST /v3/templates/{id} says `id` where POST /v3/videos says `video_id`."""
    default = client.get("/v3/templates/tpl_welcome").json()["data"]["variables"]

    made = client.post("/v3/templates/tpl_welcome", {"variables": default, "folder_id": "f1"}).json()["data"]

    assert (made["status"], made["folder_id"], made["video_url"]) == ("pending", "f1", None)
    assert client.shown(made["id"])["id"] == made["id"]


def test_names_the_field_of_an_unknown_language(client: Client) -> None:
    """Languages are names, not codes."""
    answer = client.post("/v3/video-translations", {"video": CLIP, "output_languages": ["Spanish", "it"]})

    assert error_of(answer) == (400, "invalid_parameter", "output_languages")
    assert len(client.get("/v3/video-translations/languages").json()["data"]["languages"]) >= 40


def test_every_limit_names_a_field_of_the_description() -> None:
    """A limit on a field that does not exist would never bite."""
    from batcher.simulator.contract import _validator

    assert all(_validator(operation) is not None for operation in LIMITS)


def test_replays_the_first_answer_to_a_key(client: Client) -> None:
    """The same key brings the same video even when the body differs, and is charged once."""
    first = client.post("/v3/videos", VIDEO, key="k-1").json()
    client.running.advance(AGES / 100)
    again = client.post("/v3/videos", {**VIDEO, "script": "Another text."}, key="k-1").json()

    assert again == first
    assert len(client.running.charges()) == 1


def test_replays_a_template_video_as_it_was_when_it_was_made(client: Client) -> None:
    """A replay still says pending when the video has long been done."""
    body = {"variables": {"first_name": {"type": "text", "content": "Ann"}}}
    client.post("/v3/templates/tpl_welcome", body, key="k-1")
    client.running.advance(100)

    again = client.post("/v3/templates/tpl_welcome", body, key="k-1").json()["data"]

    assert again["status"] == "pending"
    assert client.shown(again["id"])["status"] == "completed"


def test_forgets_a_key_after_a_day(client: Client) -> None:
    """After 24 hours the same key makes, and charges, a second video."""
    client.post("/v3/videos", VIDEO, key="k-1")
    client.running.advance(24 * 3600 + 1)
    client.post("/v3/videos", VIDEO, key="k-1")

    assert len(client.running.charges()) == 2
    assert [len(group["ids"]) for group in client.running.report()["duplicates"]] == [2]


def test_a_key_counts_for_one_path_only(client: Client) -> None:
    """The same key at another template is another request."""
    body = {"variables": {"first_name": {"type": "text", "content": "Ann"}}}
    for template in ("tpl_welcome", "tpl_invoice_reminder"):
        assert client.post(f"/v3/templates/{template}", body, key="k-1").status_code == 200

    assert len(client.running.charges()) == 2


def test_a_refusal_does_not_use_up_its_key(client: Client) -> None:
    """Only what was made is replayed."""
    assert client.post("/v3/videos", {**VIDEO, "nope": 1}, key="k-1").status_code == 400
    assert client.post("/v3/videos", VIDEO, key="k-1").status_code == 200


def test_refuses_a_key_of_another_form(client: Client) -> None:
    """Keys have 1 to 255 plain characters."""
    assert error_of(client.post("/v3/videos", VIDEO, key="k 1"))[0] == 400
    assert error_of(client.post("/v3/videos", VIDEO, key="k" * 256))[0] == 400


def test_ignores_keys_where_nobody_documents_them(client: Client) -> None:
    """Voice clones are made twice with one key."""
    body = {"audio": CLIP, "voice_name": "Me"}
    ids = {client.post("/v3/voices/clone", body, key="k-1").json()["data"]["voice_clone_id"] for _ in range(2)}

    assert len(ids) == 2


def test_tells_a_key_to_wait_while_its_first_answer_is_on_its_way(make: Make) -> None:
    """Whoever gives up waiting and asks again is told 409, and nothing is made twice."""
    client = make(answer_s=60)
    headers = {"Idempotency-Key": "k-1", "X-Api-Key": "k"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(client.running.url + "/v3/videos", json=VIDEO, headers=headers, timeout=0.2)
    client.running.behave(answer_s=0)
    while not client.running.charges():  # each turn is a request: it ends when the first one has arrived
        pass

    assert error_of(client.post("/v3/videos", VIDEO, key="k-1"))[:2] == (409, "request_in_progress")
    assert client.post("/v3/videos", VIDEO, key="k-2").status_code == 200
    assert len(client.running.charges()) == 2


def test_background_removals_have_their_key_in_the_body(client: Client) -> None:
    """`request_id` brings the original job, the header does not."""
    for _ in range(2):
        client.post("/v3/background-removals", {"video": CLIP, "request_id": "r-1"})
        client.post("/v3/background-removals", {"video": CLIP}, key="k-1")

    assert len(client.running.charges()) == 3


def test_refuses_more_than_its_slots(make: Make) -> None:
    """One render too many is 429 with the seconds until a slot is free."""
    client = make(in_flight=2)
    client.video()
    client.video()

    answer = client.post("/v3/videos", VIDEO)

    assert error_of(answer)[:2] == (429, "rate_limit_exceeded")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    client.running.advance(10)
    client.video()
    report = client.running.report()
    assert (report["peak_in_flight"], report["refused"], report["in_flight"]) == (2, {"429": 1}, 1)


def test_refuses_more_posts_than_its_rate(make: Make) -> None:
    """The rate counts POSTs in any window; reading is free."""
    client = make(rate="3/minute")
    answers = [client.post("/v3/voices/speech", {"text": "Hi", "voice_id": "voice_anna"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 50 <= int(answers[3].headers["Retry-After"]) <= 60
    assert client.get("/v3/videos").status_code == 200
    client.running.advance(60)
    assert client.post("/v3/videos", VIDEO).status_code == 200


def test_takes_no_work_that_the_wallet_cannot_pay(make: Make) -> None:
    """402 before anything is made; the wallet shows what is left."""
    client = make(balance=0.1)
    client.video()

    assert error_of(client.post("/v3/videos", VIDEO))[:2] == (402, "insufficient_credit")
    wallet = client.get("/v3/users/me").json()["data"]["wallet"]
    assert wallet["remaining_balance"] == pytest.approx(0.0333)
    client.running.behave(balance=10)
    client.video()


def test_gives_the_price_of_a_failure_back(client: Client) -> None:
    """Failed jobs are not charged in the end."""
    client.video(script="Hello [fail]")
    assert client.running.report()["balance"] < 500
    client.running.advance(100)

    assert client.running.report()["balance"] == 500


def test_wants_a_key(make: Make) -> None:
    """Nothing without a credential; with a configured key only that one."""
    client = make(key="right")

    assert error_of(client.get("/v3/users/me"))[:2] == (401, "unauthorized")
    assert client.call("GET", "/v3/users/me", headers={"X-Api-Key": "right"}).status_code == 200
    bearer = {"X-Api-Key": None, "Authorization": "Bearer right"}
    assert client.call("GET", "/v3/users/me", headers=bearer).status_code == 200
    assert client.call("GET", "/v3/users/me", headers={"X-Api-Key": None}).status_code == 401


def test_a_video_goes_from_waiting_to_completed(client: Client) -> None:
    """pending, processing, completed; the answer of the creation says waiting."""
    video_id = client.video(title="Mine")
    words = [client.shown(video_id)["status"]]
    for seconds in (5, 5):
        client.running.advance(seconds)
        words.append(client.shown(video_id)["status"])

    assert words == ["pending", "processing", "completed"]
    shown = client.shown(video_id)
    assert (shown["title"], shown["duration"], "callback_id" in shown) == ("Mine", 1.0, False)


ENDINGS = {
    "[fail]": ("failed", "rendering_failed"),
    "[credit]": ("failed", "MOVIO_PAYMENT_INSUFFICIENT_CREDIT"),
    "[slow]": ("processing", None),
    "[stuck]": ("processing", None),
}


@pytest.mark.parametrize("word", ENDINGS)
def test_magic_words_decide_how_it_ends(client: Client, word: str) -> None:
    """A script can rehearse each bad ending."""
    video_id = client.video(script=f"Hello {word}")
    client.running.advance(100)

    shown = client.shown(video_id)

    assert (shown["status"], shown["failure_code"]) == ENDINGS[word]


def test_slow_work_ends_and_stuck_work_does_not(client: Client) -> None:
    """Slow is twenty times as long, stuck is for ever."""
    slow, stuck = client.video(script="[slow]"), client.video(script="[stuck]")
    client.running.advance(200)
    assert client.shown(slow)["status"] == "completed"

    client.running.advance(AGES)
    assert client.shown(stuck)["status"] == "processing"


def test_magic_words_work_in_template_variables(client: Client) -> None:
    """A cell can rehearse a failure, too."""
    body = {"variables": {"first_name": {"type": "text", "content": "[fail]"}}}
    video_id = client.post("/v3/templates/tpl_welcome", body).json()["data"]["id"]
    client.running.advance(100)

    assert client.shown(video_id)["status"] == "failed"


def test_forbidden_content_is_refused_at_once(client: Client) -> None:
    """`[policy]` is 400 and makes nothing."""
    answer = client.post("/v3/videos", {**VIDEO, "script": "[policy]"})

    assert error_of(answer)[:2] == (400, "content_policy_violation")
    assert client.running.charges() == []


@pytest.mark.parametrize("url", ["https://files.invalid/a.mp4", "https://example.com/missing/a.mp4"])
def test_a_source_that_cannot_be_fetched_fails_later(client: Client, url: str) -> None:
    """The link is looked at when the work begins, not when it is asked for."""
    body = {"video": {"type": "url", "url": url}, "output_languages": ["German"], "callback_id": "row-1"}
    made = client.post("/v3/video-translations", body).json()["data"]["video_translation_ids"]
    client.running.advance(100)

    shown = client.get(f"/v3/video-translations/{made[0]}").json()["data"]

    assert (shown["status"], shown["callback_id"]) == ("failed", "row-1")
    assert shown["failure_message"].startswith("Failed to download video from url, please check")


def test_a_translation_has_one_id_per_language_in_their_order(client: Client) -> None:
    """The ids are always a list."""
    wanted = ["German", "French (France)", "Spanish"]
    made = client.post("/v3/video-translations", {"video": CLIP, "output_languages": wanted}).json()["data"]
    client.running.advance(5)
    shown = [client.get(f"/v3/video-translations/{one}").json()["data"] for one in made["video_translation_ids"]]

    assert [one["output_language"] for one in shown] == wanted
    assert {one["status"] for one in shown} == {"running"}


def test_a_voice_clone_ends_as_complete(client: Client) -> None:
    """Its last word is not the one of videos; then it can speak."""
    made = client.post("/v3/voices/clone", {"audio": CLIP, "voice_name": "Me"}).json()["data"]["voice_clone_id"]
    assert client.get(f"/v3/voices/{made}").json()["data"]["status"] == "processing"
    client.running.advance(10)
    assert client.get(f"/v3/voices/{made}").json()["data"]["status"] == "complete"

    assert client.post("/v3/voices/speech", {"text": "Hi", "voice_id": made}).status_code == 200
    assert [voice["voice_id"] for voice in client.get("/v3/voices", type="private").json()["data"]] == [made]


def test_clones_have_a_limit(make: Make) -> None:
    """One clone too many is refused until one is deleted."""
    client = make(clones=1)
    body = {"audio": CLIP, "voice_name": "Me"}
    made = client.post("/v3/voices/clone", body).json()["data"]["voice_clone_id"]

    assert error_of(client.post("/v3/voices/clone", body))[:2] == (400, "resource_limit_reached")
    assert client.call("DELETE", f"/v3/voices/{made}").status_code == 200
    assert error_of(client.call("DELETE", f"/v3/voices/{made}"))[:2] == (404, "voice_not_found")
    assert client.post("/v3/voices/clone", body).status_code == 200


def test_speech_is_made_at_once_and_can_be_spoken_by_an_avatar(client: Client) -> None:
    """The link of the sound is accepted as `audio_url`: a chain works within the simulator."""
    spoken = client.post("/v3/voices/speech", {"text": "One two three", "voice_id": "voice_anna"}).json()["data"]
    assert [word["word"] for word in spoken["word_timestamps"]] == ["One", "two", "three"]
    assert requests.get(spoken["audio_url"], timeout=10).content[:4] == b"RIFF"

    body = {"type": "avatar", "avatar_id": "look_mei", "audio_url": spoken["audio_url"]}
    assert client.post("/v3/videos", body).status_code == 200


def test_a_photo_avatar_can_speak_when_it_is_made(client: Client) -> None:
    """POST /v3/avatars brings a look whose id is an avatar_id."""
    body = {"type": "photo", "name": "Lea", "file": CLIP}
    item = client.post("/v3/avatars", body, key="k").json()["data"]["avatar_item"]

    assert item["status"] == "processing"
    client.running.advance(10)
    assert client.get(f"/v3/avatars/looks/{item['id']}").json()["data"]["status"] == "completed"
    client.video(avatar_id=item["id"], voice_id="voice_anna")


def test_a_video_agent_shows_its_video(client: Client) -> None:
    """The session names the video, which is looked up like any other."""
    session = client.post("/v3/video-agents", {"prompt": "A film about bread"}).json()["data"]["session_id"]
    client.running.advance(10)
    shown = client.get(f"/v3/video-agents/{session}").json()["data"]

    assert shown["status"] == "completed"
    assert client.shown(shown["video_id"])["status"] == "completed"


def test_lists_newest_first_in_pages_that_do_not_shift(client: Client) -> None:
    """What is made while a list is read does not repeat or hide anything."""
    made = [client.video() for _ in range(5)]
    first = client.get("/v3/videos", limit=2).json()
    client.video()
    second = client.get("/v3/videos", limit=2, token=first["next_token"]).json()
    last = client.get("/v3/videos", limit=2, token=second["next_token"]).json()

    ids = [video["id"] for page in (first, second, last) for video in page["data"]]
    assert ids == made[::-1]
    assert [page["has_more"] for page in (first, second, last)] == [True, True, False]
    assert last["next_token"] is None


def test_finds_videos_by_title_and_folder(client: Client) -> None:
    """The title is searched for a part of it; both filters hold together."""
    body = {"variables": {"first_name": {"type": "text", "content": "Ann"}}}
    for folder, title in (("f1", "Ann [b7f3-0017]"), ("f2", "Ann [b7f3-0018]"), ("f2", "Ben [b7f3-0017]")):
        client.post("/v3/templates/tpl_welcome", {**body, "title": title, "folder_id": folder})

    def titles(**query: str) -> list[str]:
        return [video["title"] for video in client.get("/v3/videos", **query).json()["data"]]

    assert titles(title="b7f3-0017") == ["Ben [b7f3-0017]", "Ann [b7f3-0017]"]
    assert titles(title="b7f3-0017", folder_id="f2") == ["Ben [b7f3-0017]"]
    assert titles(folder_id="f1") == ["Ann [b7f3-0017]"]
    assert titles(title="nn") == ["Ann [b7f3-0018]", "Ann [b7f3-0017]"]


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("/v3/videos", {"limit": 101}, "limit"),
        ("/v3/videos", {"limit": 0}, "limit"),
        ("/v3/avatars/looks", {"limit": 51}, "limit"),
        ("/v3/videos", {"token": "nonsense"}, "token"),
        ("/v3/videos", {"title": ""}, "title"),
        ("/v3/videos/statuses", {"video_ids": ",".join(map(str, range(101)))}, "video_ids"),
    ],
)
def test_refuses_queries_out_of_range(client: Client, path: str, query: Any, param: str) -> None:
    """Limits of pages and look-ups are enforced."""
    assert error_of(client.get(path, **query)) == (400, "invalid_parameter", param)


def test_lists_translations_among_the_videos(client: Client) -> None:
    """GET /v3/videos lists everything, told apart by output_language."""
    client.video()
    client.post("/v3/video-translations", {"video": CLIP, "output_languages": ["German"]})

    listed = client.get("/v3/videos").json()["data"]

    assert [video.get("output_language") for video in listed] == ["German", None]


def test_a_deleted_video_is_gone(client: Client) -> None:
    """Neither the list nor its id shows it."""
    video_id = client.video()
    assert client.call("DELETE", f"/v3/videos/{video_id}").status_code == 200

    assert error_of(client.get(f"/v3/videos/{video_id}"))[:2] == (404, "video_not_found")
    assert client.get("/v3/videos").json()["data"] == []


def test_statuses_answer_for_many_at_once(client: Client) -> None:
    """An unknown id is `not_found` among the others, not an error."""
    failing, fine = client.video(script="[fail]"), client.video()
    client.running.advance(100)
    entries = client.get("/v3/videos/statuses", video_ids=f"{failing},nobody,{fine}").json()["data"]

    assert [(entry["video_id"], entry["status"]) for entry in entries] == [
        (failing, "failed"),
        ("nobody", "not_found"),
        (fine, "completed"),
    ]
    assert entries[0]["error"]["code"] == "rendering_failed"


def test_a_batch_queues_and_fails_item_by_item(make: Make) -> None:
    """A batch waits for slots on the server; what cannot be made fails alone."""
    client = make(in_flight=2)
    items = [VIDEO, {**VIDEO, "avatar_id": "nobody"}, VIDEO, {**VIDEO, "script": "[fail]"}]
    answer = client.post("/v3/videos/batches", {"videos": items, "title": "B"}, key="b-1")
    batch_id = answer.json()["data"]["batch_id"]
    assert (answer.status_code, answer.json()["data"]["total_items"]) == (202, 4)

    def items_now() -> list[tuple[str, bool]]:
        shown = client.get(f"/v3/videos/batches/{batch_id}").json()["data"]["items"]
        return [(item["status"], item["video_id"] is not None) for item in shown]

    assert items_now() == [("queued", True), ("failed", False), ("queued", True), ("queued", False)]
    client.running.advance(100)
    assert items_now() == [("completed", True), ("failed", False), ("completed", True), ("failed", True)]
    assert client.post("/v3/videos/batches", {"videos": [VIDEO]}, key="b-1").json() == answer.json()
    assert client.running.report()["peak_in_flight"] == 2
    entries = client.get("/v3/videos/statuses", batch_ids=batch_id).json()["data"]
    assert [entry["item_index"] for entry in entries] == [0, 1, 2, 3]


def test_a_batch_with_a_body_that_nobody_describes_is_refused_whole(client: Client) -> None:
    """The field is named with its place in the list."""
    answer = client.post("/v3/videos/batches", {"videos": [VIDEO, {**VIDEO, "nope": 1}]})

    assert error_of(answer) == (400, "invalid_parameter", "videos.1.nope")


def test_a_batch_of_translations_has_one_item_per_language(client: Client) -> None:
    """Indexes count in the expanded list; the id is called video_id here as well."""
    body = {"video_translations": [{"video": CLIP, "output_languages": ["German", "Spanish"]}] * 2}
    batch = client.post("/v3/video-translations/batches", body).json()["data"]
    shown = client.get(f"/v3/video-translations/batches/{batch['batch_id']}", limit=3).json()["data"]

    assert batch["total_items"] == 4
    assert [item["item_index"] for item in shown["items"]] == [0, 1, 2]
    assert shown["has_more"]
    one = client.get(f"/v3/video-translations/{shown['items'][1]['video_id']}").json()["data"]
    assert one["output_language"] == "Spanish"


def test_tells_ends_in_the_event_history(client: Client) -> None:
    """Events carry the callback_id that videos themselves do not show."""
    failing = client.video(script="[fail]", callback_id="row-1")
    client.video(callback_id="row-2")
    client.running.advance(100)

    def events(**query: str) -> list[tuple[str, str]]:
        found = client.get("/v3/webhooks/events", **query).json()["data"]
        return [(event["event_type"], event["event_data"]["callback_id"]) for event in found]

    assert set(events()) == {("avatar_video.fail", "row-1"), ("avatar_video.success", "row-2")}
    assert events(event_type="avatar_video.success") == [("avatar_video.success", "row-2")]
    assert events(entity_id=failing) == [("avatar_video.fail", "row-1")]


@given(
    st.lists(st.text(alphabet="abC [1]", max_size=8), max_size=30), st.integers(1, 7), st.text("abC [1]", max_size=4)
)
def test_a_shelf_finds_what_a_walk_over_everything_finds(titles: list[str], limit: int, wanted: str) -> None:
    """The index over titles changes the speed of a search, never its result."""
    shelf: Shelf[int] = Shelf()
    for number, title in enumerate(titles):
        shelf.put(number, title=title, labels=["even"] if number % 2 == 0 else [])
    found: list[int] = []
    token: str | None = ""
    while token is not None:
        page = shelf.page(limit=limit, token=token, title=wanted, label="even")
        found, token = found + page.items, page.next_token

    assert found == [n for n in reversed(range(0, len(titles), 2)) if wanted.casefold() in titles[n].casefold()]


def test_a_shelf_knows_its_own_tokens_only() -> None:
    """A made-up token is an error, not the first page."""
    with pytest.raises(BadToken):
        Shelf[int]().page(limit=1, token="made-up")


def done(client: Client) -> dict[str, Any]:
    """Return a completed video."""
    video_id = client.video()
    client.running.advance(10)
    return client.shown(video_id)


def boxes(video: bytes) -> list[str]:
    """Return the names of the top boxes of an MP4, whose sizes must add up."""
    names, at = [], 0
    while at < len(video):
        size, name = struct.unpack_from(">I4s", video, at)
        names.append(name.decode())
        at += size
    assert at == len(video)
    return names


def test_links_serve_real_files(client: Client) -> None:
    """The video is an MP4 of its own, the picture a PNG, the page lasts."""
    first, second = done(client), done(client)
    video = requests.get(first["video_url"], timeout=10)

    assert boxes(video.content) == ["ftyp", "moov", "mdat"]
    assert (video.headers["Content-Type"], int(video.headers["Content-Length"])) == ("video/mp4", len(video.content))
    assert video.content != requests.get(second["video_url"], timeout=10).content
    picture = requests.get(first["thumbnail_url"], timeout=10).content
    assert picture.startswith(b"\x89PNG")
    assert zlib.crc32(b"IEND") == struct.unpack(">I", picture[-4:])[0]
    assert requests.get(first["video_page_url"], timeout=10).status_code == 200
    assert b"-->" in requests.get(first["subtitle_url"], timeout=10).content


def test_links_expire_and_are_signed_again(make: Make) -> None:
    """An old link is 403; asking again brings one that works."""
    client = make(link_life_s=60)
    old = done(client)
    client.running.advance(61)

    assert requests.get(old["video_url"], timeout=10).status_code == 403
    fresh = client.shown(old["id"])
    assert fresh["video_url"] != old["video_url"]
    assert requests.get(fresh["video_url"], timeout=10).status_code == 200
    assert fresh["video_page_url"] == old["video_page_url"]


@pytest.mark.parametrize("change", [("Expires=1", "Expires=2"), ("Signature=", "Signature=0"), (".mp4", ".webm")])
def test_links_cannot_be_changed(client: Client, change: tuple[str, str]) -> None:
    """Whatever is changed in a link makes it invalid."""
    url = done(client)["video_url"].replace(*change)

    assert requests.get(url, timeout=10).status_code == 403


def test_a_webm_is_a_webm() -> None:
    """As sniffers see it: an EBML header of the type webm, and a segment that is as long as it says."""
    made = content("ab12.webm")
    assert sniffed(made) == "video/webm"
    assert made[:4] == b"\x1aE\xdf\xa3"
    assert b"\x42\x82\x84webm" in made[:64]
    segment = made.index(b"\x18S\x80g") + 4
    assert int.from_bytes(made[segment + 1 : segment + 8], "big") == len(made) - segment - 8
    assert made != content("cd34.webm")


def test_files_can_be_fetched_in_parts(client: Client) -> None:
    """Range requests resume a download."""
    url = done(client)["video_url"]
    whole = requests.get(url, timeout=10).content

    def part(asked: str) -> requests.Response:
        return requests.get(url, headers={"Range": f"bytes={asked}"}, timeout=10)

    assert part("10-").content == whole[10:]
    assert part("0-9").content == whole[:10]
    assert part("-5").content == whole[-5:]
    assert (part("0-9").status_code, part("0-9").headers["Content-Range"]) == (206, f"bytes 0-9/{len(whole)}")
    assert part(f"{len(whole)}-").status_code == 416
    head = requests.head(url, timeout=10)
    assert (head.status_code, int(head.headers["Content-Length"])) == (200, len(whole))


def test_notices_a_key_sent_along_with_a_link(client: Client) -> None:
    """Links want no API key: one that comes along has leaked."""
    url = done(client)["video_url"]
    requests.get(url, timeout=10)
    client.call("GET", url)

    assert client.running.report()["credentials_on_links"] == 1


@pytest.mark.parametrize("extension", ["mp4", "png", "wav", "srt"])
def test_recognises_its_own_files(extension: str) -> None:
    """What it serves could be uploaded again."""
    assert sniffed(content(f"x.{extension}")) is not None


def test_uploads_are_kept_and_can_be_used(client: Client) -> None:
    """An upload is sniffed, served, listed, and good as an asset_id."""
    made = client.call("POST", "/v3/assets", files={"file": ("a.png", PNG, "image/png")}).json()["data"]
    assert (made["mime_type"], made["size_bytes"]) == ("image/png", len(PNG))
    assert requests.get(made["url"], timeout=10).content == PNG
    assert [asset["id"] for asset in client.get("/v3/assets").json()["data"]] == [made["asset_id"]]

    image = {"type": "asset_id", "asset_id": made["asset_id"]}
    body = {"type": "image", "image": image, "script": "Hi", "voice_id": "voice_anna"}
    assert client.post("/v3/videos", body).status_code == 200


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (("a.jpg", PNG, "image/jpeg"), "Content type not match image/png != image/jpeg"),
        (("a.exe", b"MZ" + bytes(50), "application/octet-stream"), "Unsupported file type"),
    ],
)
def test_uploads_must_be_what_they_say(client: Client, file: tuple[str, bytes, str], message: str) -> None:
    """The first bytes decide."""
    answer = client.call("POST", "/v3/assets", files={"file": file})

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)


def test_uploads_of_more_than_32_megabytes_are_too_large(client: Client) -> None:
    """Large files go the other way."""
    answer = client.call("POST", "/v3/assets", files={"file": ("a.png", PNG + bytes(32 * 1024 * 1024), "image/png")})

    assert error_of(answer)[:2] == (413, "payload_too_large")


def test_large_files_are_uploaded_straight_to_storage(client: Client) -> None:
    """Announce, PUT with the given headers, complete: as often as you like."""
    announced = {
        "filename": "a.png",
        "content_type": "image/png",
        "size_bytes": len(PNG),
        "checksum_sha256": hashlib.sha256(PNG).hexdigest(),
    }
    made = client.post("/v3/assets/direct-uploads", announced).json()["data"]
    path = f"/v3/assets/{made['asset_id']}/complete"
    assert error_of(client.post(path, {}))[:2] == (409, "resource_not_ready")
    assert requests.put(made["upload_url"], data=PNG, timeout=10).status_code == 403
    put = requests.put(made["upload_url"], data=PNG, headers=made["upload_headers"], timeout=10)

    assert put.status_code == 200
    assert client.post(path, {}).json() == client.post(path, {}).json()
    assert client.get(f"/v3/assets/{made['asset_id']}").status_code == 200


def test_the_same_seed_brings_the_same_answers(make: Make) -> None:
    """Ids and faults depend on the seed and the order of requests only."""

    def story(seed: int) -> list[Any]:
        client = make("errors_500", "no_id", "html_200", seed=seed, in_flight=100)
        return [client.post("/v3/videos", VIDEO).text for _ in range(30)]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_render_times_scatter_around_their_median() -> None:
    """Log-normal: the median is the one asked for, and no spread means no scatter."""
    times = sorted(render_time(7, number, median_s=4.0, spread=0.35) for number in range(2001))

    assert times[1000] == pytest.approx(4.0, rel=0.05)
    assert times[1680] == pytest.approx(4.0 * 2.718**0.35, rel=0.07)
    assert {render_time(7, number, median_s=4.0, spread=0.0) for number in range(9)} == {4.0}


def test_regress(make: Make) -> None:
    """completed, processing, completed."""
    client = make("regress")
    video_id = client.video()
    client.running.advance(10)

    assert [client.shown(video_id)["status"] for _ in range(4)] == ["completed", "processing", "completed", "completed"]


def test_missing_pages(make: Make) -> None:
    """A page lacks some items and repeats others; looking again brings others."""
    client = make("missing_pages", in_flight=100)
    made = [client.video() for _ in range(40)]
    pages = [[video["id"] for video in client.get("/v3/videos", limit=100).json()["data"]] for _ in range(2)]

    assert set(pages[0]) < set(made)
    assert len(set(pages[0])) < len(pages[0])
    assert pages[0] != pages[1]


def test_unknown_words(make: Make) -> None:
    """Odd words on the way, the right one at the end."""
    client = make("unknown_words")
    video_id = client.video()
    words = {client.shown(video_id)["status"] for _ in range(6)}
    client.running.advance(10)

    assert {"running", "succeeded", ""} <= words
    assert client.shown(video_id)["status"] == "completed"


def test_late_links(make: Make) -> None:
    """Three looks at a completed video show no link, the fourth does."""
    client = make("late_links")
    video_id = client.video()
    client.running.advance(10)
    shown = [client.shown(video_id) for _ in range(4)]

    assert {one["status"] for one in shown} == {"completed"}
    assert [one["video_url"] is None for one in shown] == [True, True, True, False]


def test_not_found(make: Make) -> None:
    """The first two looks do not find it, in any way."""
    client = make("not_found")
    video_id = client.video()
    assert client.get(f"/v3/videos/{video_id}").status_code == 404
    entry = client.get("/v3/videos/statuses", video_ids=video_id).json()["data"][0]
    assert entry["status"] == "not_found"

    assert client.get(f"/v3/videos/{video_id}").status_code == 200


def test_token_loop(make: Make) -> None:
    """The end of the list never says that it is the end."""
    client = make("token_loop")
    for _ in range(3):
        client.video()
    first = client.get("/v3/videos", limit=2).json()
    ends = [client.get("/v3/videos", limit=2, token=first["next_token"]).json() for _ in range(12)]

    assert all(end["has_more"] for end in ends)
    assert {end["next_token"] for end in ends} == {None, first["next_token"]}


def lost(client: Client, count: int) -> int:
    """Return how many of so many videos got no answer that can be read."""
    failures = 0
    for number in range(count):
        try:
            client.post("/v3/videos", VIDEO, key=f"k-{number}").json()
        except requests.RequestException:
            failures += 1
    return failures


def test_lost_answers(make: Make) -> None:
    """A fifth of the answers never comes; all of the work was made, and the key finds it."""
    client = make("lost_answers", in_flight=1000)
    failures = lost(client, 60)
    client.running.behave(hostile=[])

    assert 4 <= failures <= 22
    assert len(client.running.charges()) == 60
    assert lost(client, 60) == 0
    report = client.running.report()
    assert (report["creations"], report["replays"], report["faults"]["lost_answers"]) == (60, 60, failures)


def test_half_answers(make: Make) -> None:
    """A fifth of the answers breaks off before its Content-Length; the work was made."""
    client = make("half_answers", in_flight=1000)

    assert 4 <= lost(client, 60) <= 22
    assert len(client.running.charges()) == 60


def test_errors_500(make: Make) -> None:
    """Some POSTs answer 500, half of these after the work was made."""
    client = make("errors_500", in_flight=1000, balance=1e6)
    broken = sum(client.post("/v3/videos", VIDEO).status_code == 500 for _ in range(200))
    made_all_the_same = client.running.report()["creations"] - (200 - broken)

    assert 8 <= broken <= 36
    assert 0 < made_all_the_same < broken


def test_storms_429(make: Make) -> None:
    """The first POSTs are refused, then all is well; switching it on again begins anew."""
    client = make("storms_429", storm=3)
    answers = [client.post("/v3/videos", VIDEO) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200, 200]
    assert answers[0].headers["Retry-After"] == "1"

    client.running.behave(hostile=["storms_429"], storm=1)
    assert [client.post("/v3/videos", VIDEO).status_code for _ in range(2)] == [429, 200]


def test_html_200(make: Make) -> None:
    """Some answers are web pages; not all of the work behind them was made."""
    client = make("html_200", in_flight=1000, balance=1e6)
    answers = [client.post("/v3/videos", VIDEO) for _ in range(200)]
    pages = sum(answer.text.startswith("<!DOCTYPE") for answer in answers)

    assert {answer.status_code for answer in answers} == {200}
    assert pages > 0
    assert 200 - pages < client.running.report()["creations"] < 200


def test_duplicate_id(make: Make) -> None:
    """Two creations answer with one id, and yet there are two videos."""
    client = make("duplicate_id")
    answered = [client.video() for _ in range(4)]

    assert len(set(answered)) == 2
    assert len(client.get("/v3/videos").json()["data"]) == 4


def test_no_id(make: Make) -> None:
    """Some creations answer 200 without an id, in all sorts of ways; they are charged."""
    client = make("no_id", in_flight=1000)
    answers = [client.post("/v3/videos", VIDEO).json()["data"] for _ in range(60)]
    without = [answer.get("video_id", "absent") for answer in answers if not isinstance(answer.get("video_id"), str)]
    empty = [answer for answer in answers if answer.get("video_id") == ""]

    assert 3 <= len(without) + len(empty) <= 24
    assert len(client.running.charges()) == 60


def test_error_shapes(make: Make) -> None:
    """The reason of a failure is a text, an object, a list, a page, or missing."""
    client = make("error_shapes", in_flight=100)
    failing = [client.video(script="[fail]") for _ in range(14)]
    client.running.advance(100)
    shown = [client.shown(video_id) for video_id in failing]

    assert {one["status"] for one in shown} == {"failed"}
    assert {type(one["failure_message"]) for one in shown} == {str, dict, list, type(None)}
    assert any("<html>" in str(one["failure_message"]) for one in shown)


def test_batch_key_ignored(make: Make) -> None:
    """The same key makes a second batch."""
    client = make("batch_key_ignored")
    ids = {client.post("/v3/videos/batches", {"videos": [VIDEO]}, key="b").json()["data"]["batch_id"] for _ in "12"}

    assert len(ids) == 2


def test_cut_titles(make: Make) -> None:
    """Trimmed first, then cut."""
    client = make("cut_titles")
    made = client.post("/v3/videos", {**VIDEO, "title": "  " + "x" * 30}).json()["data"]["video_id"]

    assert client.shown(made)["title"] == "x" * 24


def test_v2_alive(make: Make) -> None:
    """Version 2 is retired with 410 in its own envelope, unless it is kept alive."""
    answer = make().get("/v2/templates")
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["data"]) == (410, "gone", None)
    client = make("v2=alive", in_flight=1)
    variables = {"first_name": {"name": "first_name", "type": "text", "properties": {"content": "Ann"}}}
    body = {"variables": variables, "callback_id": "row-1", "unknown_field": 1}
    made = [client.post("/v2/template/tpl_welcome/generate", body).json()["data"]["video_id"] for _ in range(2)]

    def told(video_id: str) -> dict[str, Any]:
        answer = client.get("/v1/video_status.get", video_id=video_id)
        assert answer.headers["Deprecation"] == "true"
        data: dict[str, Any] = answer.json()["data"]
        return data

    assert [told(video_id)["status"] for video_id in made] == ["pending", "waiting"]
    client.running.advance(20)
    assert [told(video_id)["callback_id"] for video_id in made] == ["row-1", "row-1"]
    assert requests.get(told(made[1])["video_url"], timeout=10).status_code == 200
    listed = client.get("/v1/video.list", limit=1).json()["data"]
    assert [video["video_id"] for video in listed["videos"]] == made[1:]
    absent = client.get("/v1/video_status.get", video_id="x")
    assert (absent.status_code, absent.json()["code"]) == (404, 40104)


def test_version_2_translates_and_makes_videos(make: Make) -> None:
    """One language fills the one field, several the other; the end is called success."""
    client = make("v2=alive")
    url = "https://example.com/a.mp4"
    one = client.post("/v2/video_translate", {"video_url": url, "output_language": "German"}).json()["data"]
    two = client.post("/v2/video_translate", {"video_url": url, "output_languages": ["German", "Thai"]}).json()["data"]
    assert one["video_translate_ids"] is None
    assert (two["video_translate_id"], len(two["video_translate_ids"])) == (None, 2)
    client.running.advance(100)
    assert client.get(f"/v2/video_translate/{one['video_translate_id']}").json()["data"]["status"] == "success"

    voice = {"type": "text", "voice_id": "voice_anna", "input_text": "Hi"}
    scene = {"character": {"type": "avatar", "avatar_id": "look_mei"}, "voice": voice}
    assert client.post("/v2/video/generate", {"video_inputs": [scene]}).json()["data"]["video_id"]
    assert client.post("/v2/video/generate", {"video_inputs": []}).json()["error"]["code"] == "invalid_parameter"


def test_signs_in_with_a_code_and_refreshes(make: Make) -> None:
    """Authorization code with PKCE; tokens expire, refresh tokens work once."""
    client = make(key="right")
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    back = "http://127.0.0.1:9/callback"
    query = {"response_type": "code", "client_id": "me", "redirect_uri": back, "state": "s"}
    query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
    sent = client.call("GET", "/oauth/authorize", params=query, allow_redirects=False)
    code = parse_qs(urlsplit(sent.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "client_id": "me", "redirect_uri": back, "code": code}

    def token(**fields: str) -> requests.Response:
        return client.call("POST", "/v1/oauth/token", data=fields)

    tokens = token(**form, code_verifier=verifier).json()
    bearer = {"X-Api-Key": None, "Authorization": f"Bearer {tokens['access_token']}"}
    assert client.call("GET", "/v3/users/me", headers=bearer).status_code == 200
    client.running.advance(3601)
    assert client.call("GET", "/v3/users/me", headers=bearer).status_code == 401
    again = {"grant_type": "refresh_token", "client_id": "me", "refresh_token": tokens["refresh_token"]}
    assert [token(**again).status_code for _ in range(2)] == [200, 400]
    assert token(**form, code_verifier=verifier).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    "script",
    ["\ud800", "\x00", "x" * 5000, "日本語 🎬 \u202e", float("nan"), 10**30, [["x"] * 9], {"a": None}],
)
def test_odd_values_are_accepted_or_refused_but_never_break_it(client: Client, script: Any) -> None:
    """Whatever JSON can carry gets an answer in the API's own envelope."""
    raw = json.dumps({**VIDEO, "script": script, "title": script}).encode()
    answer = client.call("POST", "/v3/videos", data=raw, headers={"Content-Type": "application/json"})

    assert answer.status_code in (200, 400)
    assert answer.json().keys() & {"data", "error"}
    assert client.get("/v3/videos").status_code == 200


def test_every_hostile_mode_has_a_test() -> None:
    """A mode without a test would be a promise without proof."""
    tests = {name.removeprefix("test_") for name in globals()}

    assert {mode.replace("v2=alive", "v2_alive") for mode in HOSTILE} <= tests


def test_unknown_modes_are_refused(client: Client) -> None:
    """A misspelt mode must not look like a peaceful run."""
    with pytest.raises(ValueError, match="unknown hostile mode regres; known are: regress"):
        Behaviour(hostile=frozenset({"regres"}))
    with pytest.raises(ValueError, match="rate must look like 50/second"):
        Behaviour(rate="fast")

    answer = client.post("/_simulator/behaviour", {"hostile": ["regres"]})
    assert answer.status_code == 400


def test_reports_what_it_saw(client: Client) -> None:
    """Charges, requests, duplicates and waiting times are counted on the server's side."""
    client.post("/v3/videos", {**VIDEO, "title": "T", "callback_id": "row-1"}, key="k-1")
    client.post("/v3/videos", {**VIDEO, "title": "T", "callback_id": "row-2"}, key="k-2")
    video_id = client.video(title="Other")
    client.running.advance(12)
    client.shown(video_id)
    client.get("/v3/videos")

    report = client.running.report()

    assert report["creations"] == 3
    assert [(c["kind"], c["key"], c["callback_id"]) for c in report["charges"]][:2] == [
        ("video", "k-1", "row-1"),
        ("video", "k-2", "row-2"),
    ]
    assert [(group["title"], len(group["ids"])) for group in report["duplicates"]] == [("T", 2)]
    assert report["requests"]["POST /v3/videos"] == 3
    assert report["requests"]["GET /v3/videos/{video_id}"] == 1
    assert (len(report["posts_at"]), report["max_posts_in_second"]) == (3, 3)
    assert report["noticed_late_s"] == [pytest.approx(2.0, abs=1.0)] * 3
    assert report["occupancy"] == pytest.approx(30.0)


def test_dates_its_answers_with_its_own_clock(client: Client) -> None:
    """Whoever judges age by the Date header sees the moved time."""
    before = parsedate_to_datetime(client.get("/v3/users/me").headers["Date"])
    client.running.advance(3600)
    after = parsedate_to_datetime(client.get("/v3/users/me").headers["Date"])

    assert 3590 <= (after - before).total_seconds() <= 3700


@pytest.mark.parametrize(("instants", "most"), [([], 0), ([1.0], 1), ([0.0, 0.5, 1.0, 1.4], 3), ([0.0, 1.0, 2.0], 1)])
def test_counts_the_fullest_window(instants: list[float], most: int) -> None:
    """A window holds its beginning but not its end."""
    assert most_in_window(instants, window_s=1.0) == most


def test_serves_until_it_is_told_to_stop() -> None:
    """The command line runs it in the foreground."""
    stop = threading.Event()
    seen: list[int] = []

    def ask(url: str) -> None:
        seen.append(requests.get(url + "/v3/users/me", timeout=10).status_code)
        stop.set()

    def ready(url: str) -> None:
        threading.Thread(target=ask, args=(url,)).start()

    serve(Behaviour(), ready=ready, stop=stop)

    assert seen == [401]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "::"])
def test_listens_on_loopback_only(host: str) -> None:
    """Nobody else can reach it."""
    with pytest.raises(ValueError, match="loopback addresses only"):
        serve(Behaviour(), host=host)


def test_says_when_its_port_is_taken(client: Client) -> None:
    """The error of the system comes through, in the thread's place."""
    port = int(client.running.url.rpartition(":")[2])

    with pytest.raises(OSError, match="address already in use"):
        start(Behaviour(), port=port)


def test_shares_no_assumptions_with_the_rest_of_batcher() -> None:
    """A simulator built on our own catalogue would agree with its mistakes."""
    room = Path(batcher.simulator.__file__).parent
    imported = {
        name
        for path in room.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if name.startswith("batcher")
    }

    assert {name for name in imported if not name.startswith("batcher.simulator")} <= {"batcher.errors"}


def _imported(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_imports_without_a_web_server() -> None:
    """`batcher --help` may import the package: aiohttp is loaded only when a simulator starts."""
    code = "import sys, batcher.simulator; print('aiohttp' in sys.modules, 'jsonschema_rs' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["False", "False"]


def covered(client: Client) -> Iterator[tuple[str, requests.Response]]:
    """Yield answers of every endpoint that the description covers, with their operations."""
    voice = {"text": "Hi", "voice_id": "voice_anna"}
    welcome = {"variables": {"first_name": {"type": "text", "content": "Ann"}}}
    upload = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(PNG)}
    batch = client.post("/v3/videos/batches", {"videos": [VIDEO, {**VIDEO, "avatar_id": "x"}]}).json()["data"]
    translations = client.post("/v3/video-translations", {"video": CLIP, "output_languages": ["German"]})
    translation = translations.json()["data"]["video_translation_ids"][0]
    lipsyncs = client.post("/v3/lipsyncs", {"video": CLIP, "audio": CLIP})
    lipsync = lipsyncs.json()["data"]["lipsync_id"]
    clones = client.post("/v3/voices/clone", {"audio": CLIP, "voice_name": "Me"})
    avatars = client.post("/v3/avatars", {"type": "photo", "name": "Me", "file": CLIP})
    look = avatars.json()["data"]["avatar_item"]
    removals = client.post("/v3/background-removals", {"video": CLIP})
    removal = removals.json()["data"]["id"]
    agents = client.post("/v3/video-agents", {"prompt": "Bread"})
    session = agents.json()["data"]["session_id"]
    assets = client.call("POST", "/v3/assets", files={"file": ("a.png", PNG, "image/png")})
    asset = assets.json()["data"]["asset_id"]
    videos = client.post("/v3/videos", VIDEO)
    failing = client.video(script="[fail]")
    yield "POST /v3/videos", videos
    yield "POST /v3/templates/{template_id}", client.post("/v3/templates/tpl_welcome", welcome)
    yield "POST /v3/video-translations", translations
    yield "POST /v3/lipsyncs", lipsyncs
    yield "POST /v3/voices/clone", clones
    yield "POST /v3/voices/speech", client.post("/v3/voices/speech", voice)
    yield "POST /v3/avatars", avatars
    yield "POST /v3/background-removals", removals
    yield "POST /v3/video-agents", agents
    yield "POST /v3/assets", assets
    yield "POST /v3/assets/direct-uploads", client.post("/v3/assets/direct-uploads", upload)
    yield "POST /v3/assets/{asset_id}/complete", client.post(f"/v3/assets/{asset}/complete", {})
    paths = {
        "/v3/users/me": "",
        "/v3/templates": "",
        "/v3/templates/{template_id}": "tpl_presenter",
        "/v3/videos": "",
        "/v3/videos/{video_id}": videos.json()["data"]["video_id"],
        "/v3/videos/batches/{batch_id}": batch["batch_id"],
        "/v3/videos/statuses": f"?video_ids={failing},nobody",
        "/v3/video-translations": "",
        "/v3/video-translations/languages": "",
        "/v3/video-translations/statuses": f"?video_translation_ids={translation}",
        "/v3/video-translations/{video_translation_id}": translation,
        "/v3/lipsyncs": "",
        "/v3/lipsyncs/{lipsync_id}": lipsync,
        "/v3/lipsyncs/statuses": f"?lipsync_ids={lipsync}",
        "/v3/voices": "",
        "/v3/voices/{voice_id}": clones.json()["data"]["voice_clone_id"],
        "/v3/avatars": "",
        "/v3/avatars/{group_id}": look["group_id"],
        "/v3/avatars/looks": "",
        "/v3/avatars/looks/{look_id}": look["id"],
        "/v3/background-removals": "",
        "/v3/background-removals/{job_id}": removal,
        "/v3/video-agents/{session_id}": session,
        "/v3/video-agents/{session_id}/videos": session,
        "/v3/assets": "",
        "/v3/assets/{asset_id}": asset,
        "/v3/webhooks/events": "",
        "/v3/webhooks/event-types": "",
    }
    for seconds in (0, 5, 100):
        client.running.advance(seconds)
        for path, value in paths.items():
            url = path + value if value.startswith("?") else path.split("{")[0] + value + "".join(path.split("}")[1:])
            yield f"GET {path}", client.get(url)


def test_answers_have_the_documented_shape(make: Make) -> None:
    """Every answer, at the beginning, on the way and at the end, agrees with HeyGen's description made strict."""
    client = make(in_flight=20)
    operations = set()
    for operation, answer in covered(client):
        schema = response_schema(operation)
        assert schema is not None, operation
        errors = [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(answer.json())]
        assert (answer.status_code, errors) == (200, []), (operation, answer.text)
        operations.add(operation)

    assert len(operations) == 40


def test_the_check_of_shapes_can_fail() -> None:
    """The canary: a field too many and a word too new are seen."""
    schema = response_schema("GET /v3/videos/{video_id}")
    assert schema is not None
    fine = {"data": {"id": "a", "status": "completed"}}

    assert jsonschema_rs.is_valid(schema, fine)
    assert not jsonschema_rs.is_valid(schema, {"data": {**fine["data"], "nope": 1}})
    assert not jsonschema_rs.is_valid(schema, {"data": {"id": "a", "status": "done"}})


def test_the_description_is_the_one_of_the_official_client() -> None:
    """All 85 operations are there."""
    operations = [method for methods in description()["paths"].values() for method in methods]

    assert len(operations) == 85
