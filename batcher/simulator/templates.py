"""Videos from templates: `/v3/templates`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from batcher.simulator import contract, seeded, shapes
from batcher.simulator.orders import asset_source, callback, omen, price, spoken_s
from batcher.simulator.paging import page_of
from batcher.simulator.seeded import Template
from batcher.simulator.wire import Answer, Call, Handler, Json, data, invalid
from batcher.simulator.work import Failure, Kind, Order
from batcher.simulator.world import Sight, World

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def listed(world: World, call: Call) -> Answer:
    """GET /v3/templates"""
    shelf = world.stock.template_shelf
    page = page_of(world, call, lambda limit, token: shelf.page(limit=limit, token=token))
    return page.answer(lambda template: _summary(call, template))


def single(world: World, call: Call) -> Answer:
    """GET /v3/templates/{template_id}"""
    template = world.stock.template(call.params["template_id"])
    scenes = [
        {
            "scene_id": scene_id,
            "script": script,
            "variables": [
                {"name": name, "variable_type": template.variables[name]["type"]}
                for name in _PLACEHOLDER.findall(script)
            ],
        }
        for scene_id, script in template.scenes.items()
    ]
    return data(
        {
            **_summary(call, template),
            "scene_ids": list(template.scenes),
            "scenes": scenes,
            "variables": template.variables,
        }
    )


def generate(world: World, call: Call) -> Answer:
    """POST /v3/templates/{template_id}: answers with the whole video, as it was when it was created."""
    body = call.body()
    template = world.stock.template(call.params["template_id"])
    contract.check("POST /v3/templates/{template_id}", body)
    work = world.create([order(world, call, template, body)], key=call.key)[0]
    return data(shapes.video(world, call, work, Sight(phase=work.phase(work.created_at))))


def order(world: World, call: Call, template: Template, body: Mapping[str, Json]) -> Order:
    """
    Return what is asked for.

    Raises:
        Refused: A variable that the template lacks or of another type, a scene that it lacks, another shape.
    """
    callback(call, body)
    sources = [_variable(world, call, template, name=name, value=value) for name, value in body["variables"].items()]
    scene_ids = list(template.scenes) if body.get("scene_ids") is None else body["scene_ids"]
    unknown = next((scene_id for scene_id in scene_ids if scene_id not in template.scenes), None)
    if unknown is not None or not scene_ids:
        raise invalid(f"Scene {unknown} does not exist in the template", param="scene_ids")
    _check_dimension(template, body)
    texts = {
        name: body["variables"].get(name, default)["content"]
        for name, default in template.variables.items()
        if default["type"] == "text"
    }
    said = [_PLACEHOLDER.sub(lambda match: texts.get(match[1], ""), template.scenes[scene]) for scene in scene_ids]
    # Magic words count wherever they stand: a text on the picture is not spoken.
    ending = omen([*said, *texts.values()], sources)
    duration_s = spoken_s(" ".join(said))
    return Order(
        kind=Kind.VIDEO,
        amount=price("template", duration_s),
        duration_s=duration_s,
        body={**body, "template_id": template.template_id},
        title=body.get("title") or template.name,
        callback_id=body.get("callback_id"),
        folder_id=body.get("folder_id"),
        failure=ending.failure,
        slowness=ending.slowness,
        details={"output_format": "mp4"},
    )


def _variable(world: World, call: Call, template: Template, *, name: str, value: Json) -> Failure | None:
    """Check one variable and return how fetching its media will fail."""
    param = f"variables.{name}"
    default = template.variables.get(name)
    if default is None:
        known = ", ".join(template.variables)
        raise invalid(f"Variable {name} does not exist in the template; it has: {known}", param=param)
    contract.check_against("template variable", value, param=param)
    if value["type"] != default["type"]:
        raise invalid(f"Variable {name} is of type {default['type']}, not {value['type']}", param=f"{param}.type")
    if value["type"] == "voice":
        world.stock.voice(value["voice_id"])
    if value["type"] == "character":
        world.stock.look(value["character_id"], param=f"{param}.character_id")
    return asset_source(world, call, value["asset"], param=f"{param}.asset") if "asset" in value else None


def _check_dimension(template: Template, body: Mapping[str, Json]) -> None:
    """Refuse a size of another shape than the template's."""
    dimension = body.get("dimension")
    if dimension is None:
        return
    wide, high = map(int, template.aspect_ratio.split(":"))
    # Even numbers of pixels cannot hit every ratio exactly.
    if abs(dimension["width"] * high - dimension["height"] * wide) > 2 * max(wide, high):
        raise invalid(f"dimension must match the template's aspect ratio {template.aspect_ratio}", param="dimension")


def _summary(call: Call, template: Template) -> dict[str, Json]:
    return {
        "id": template.template_id,
        "name": template.name,
        "aspect_ratio": template.aspect_ratio,
        "thumbnail_url": f"{call.base}/previews/{template.template_id}.png",
        "created_at": seeded.MADE_AT,
        "updated_at": seeded.MADE_AT,
    }


ROUTES: Mapping[str, Handler] = {
    "GET /v3/templates": listed,
    "GET /v3/templates/{template_id}": single,
    "POST /v3/templates/{template_id}": generate,
}
