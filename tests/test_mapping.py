"""Row to request body: cells by their headers, typed and checked, every problem at its cell."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from jsonschema_rs import validator_for

from batcher.bound import BoundJob
from batcher.errors import InputError
from batcher.finding import find_operations, open_job_sheet
from batcher.job import Job, load_job
from batcher.mapping.choice import Choice, Choices
from batcher.mapping.expression import MAX_SOURCE, ExpressionError, compile_expression
from batcher.simulator.contract import check, description

Bind = Callable[..., BoundJob]
Row = Callable[..., dict[str, str]]

LANGUAGES = Choices(
    "languages", [Choice(id=name, name=name) for name in ("German", "Spanish (Spain)", "Spanish (Mexico)")]
)
VOICES = Choices("voices", [Choice(id="v1", name="Anna"), Choice(id="v2", name="Ben"), Choice(id="v3", name="Ben")])
AVATAR = {
    "type": "avatar",
    "avatar_id": "{{ avatar }}",
    "script": "{{ script? }}",
    "audio_url": "{{ audio? }}",
    "resolution": "{{ res? }}",
}


def bodies(bound: BoundJob) -> list[Any]:
    """The bodies of the valid rows."""
    return [json.loads(task.body) for each in bound.rows() if each.row_id for task in bound.tasks(each) if task.body]


def flaws(bound: BoundJob) -> list[str]:
    """What is said about the invalid rows."""
    return [
        f"{place}: {message}"
        for each in bound.rows()
        if each.row_id
        for task in bound.tasks(each)
        for place, message in task.flaws
    ]


def refusal(bind: Callable[[], object]) -> list[str]:
    """What is said about a job that must be refused as a whole."""
    with pytest.raises(InputError) as caught:
        bind()
    return [str(problem) for problem in caught.value.problems]


def text_of(bind: Bind, header: str, cell: str, template: str) -> str:
    """What becomes of one cell in a text variable."""
    request = {"template_id": "t", "title": "always here", "variables": {"v": template}}
    (body,) = bodies(bind(["r1", cell], header=["id", header], request=request))
    return str(body["variables"]["v"]["content"])


# --- cells by their headers


@pytest.mark.parametrize(
    "header",
    [
        "name",
        "First name",
        "Straße",
        "E-Mail",
        "Vor- und Nachname",
        "Betrag (€)",
        "1st",
        "#1",
        "%",
        "-",
        "a, b",
        "Größe?",
        "range",
        "loop",
        "in",
        "not",
        "if",
        "None",
        "true",
        "self",
        "dict",
        "lipsum",
        "caller",
        "super",
        "__class__",
        "Firma/Kunde",
        "a.b",
        "x or y",
        "Customer's name",
        "d'Appel",
        '"q"',
        "Name\nzwei",
        "a  b",
    ],
)
def test_any_header_is_found_by_its_text(bind: Bind, header: str) -> None:
    """Blanks, umlauts, signs and the names of built-ins are all just the text of a header."""
    assert text_of(bind, header, "Anna", f"Hi {{{{ {header} }}}}!") == "Hi Anna!"
    assert text_of(bind, header, "Anna", f"Hi {{{{ {header}? }}}}!") == "Hi Anna!"


@pytest.mark.parametrize(
    "header", ["Firma/Kunde", "not", "range", "First name", "a, b", "it's", "Betrag (€)", "a|upper", "E-Mail"]
)
def test_brackets_hold_any_header_in_an_expression(bind: Bind, header: str) -> None:
    """`{{ [Firma/Kunde] or 'your team' }}` takes the cell, or the other side when it is blank."""
    template = f"{{{{ [{header}] or 'your team' }}}}"
    assert text_of(bind, header, "Becker", template) == "Becker"
    assert text_of(bind, header, "  ", template) == "your team"


@pytest.mark.parametrize(("in_sheet", "in_job"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_headers_are_compared_in_one_normal_form(bind: Bind, in_sheet: Any, in_job: Any) -> None:
    """An umlaut of a Mac and one of Windows are the same umlaut."""
    header, mentioned = unicodedata.normalize(in_sheet, "Größe"), unicodedata.normalize(in_job, "Größe")
    assert text_of(bind, f" {header} ", "L", f"{{{{ {mentioned} }}}}") == "L"
    assert text_of(bind, header, "L", f"{{{{ [{mentioned}] or 'M' }}}}") == "L"


@pytest.mark.parametrize(
    "template", ["{{ nmae }}", "{{ nmae? }}", "{{ [nmae] or 'x' }}", "Hi {{ nmae }}!", "{{ nmae|upper }}"]
)
def test_a_misspelt_column_names_the_nearest(bind: Bind, make_row: Row, template: str) -> None:
    """It is told before anything is sent, once for the job and not once per row."""
    request = {"template_id": "t", "variables": {"v": template}}
    (said,) = refusal(lambda: bind(make_row(), make_row(id="r2"), request=request))
    assert "no column" in said
    assert "nmae" in said
    assert "did you mean" in said


def test_all_misspelt_columns_are_told_at_once(bind: Bind, make_row: Row) -> None:
    """Optional ones too, each with its line in the job."""
    request = {"template_id": "t", "title": "{{ nmae? }}", "variables": {"v": "{{ compny? }}"}}
    said = refusal(lambda: bind(make_row(), request=request, sheet={"row_id": "idd?"}))
    assert len(said) in (1, 3)  # the sheet alone is opened with what must be there
    request = {"template_id": "t", "title": "{{ nmae? }}", "variables": {"v": "{{ compny? }}"}}
    said = refusal(lambda: bind(make_row(), request=request))
    assert [each.split(": ")[0] for each in said] == ["job.yaml:10:5", "job.yaml:12:7"]
    assert "request.title: no column 'nmae'; did you mean 'name'?" in said[0]


# --- cells are data


@pytest.mark.parametrize(
    "cell",
    [
        "{{ 7 * 7 }}",
        "{% for x in y %}",
        "{# note #}",
        "}}{{",
        "{{ name }}",
        "$",
        "$asset",
        "${x}",
        "%s",
        "\\u0041",
        "a\nb",
        " a ",
        "<b>&amp;</b>",
        "007",
        "NA",
        "null",
        "true",
        "1e5",
        "3.10",
        "12 ",
        "1_000",
        "[1, 2]",
        "=1+1",
        "a\u2028b",
        "👩\u200d👩\u200d👧",
        "'\"\\",
        "x" * 10000,
    ],
)
@pytest.mark.parametrize("template", ["{{ name }}", "{{ name? }}", "{{ [name] or 'x' }}"])
def test_a_cell_arrives_verbatim(bind: Bind, cell: str, template: str) -> None:
    """What looks like a template, a number or a formula is text, and is never rendered or trimmed."""
    assert text_of(bind, "name", cell, template) == cell


def test_a_cell_is_not_rendered_a_second_time(bind: Bind) -> None:
    """Not even when another cell would fill it in."""
    request = {"template_id": "t", "variables": {"v": "{{ name }} of {{ company }}"}}
    bound = bind(["r1", "{{ company }}", "{{ name }}"], header=["id", "name", "company"], request=request)
    assert bodies(bound)[0]["variables"]["v"]["content"] == "{{ company }} of {{ name }}"


# --- expressions


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("name or 'x'", "Anna"),
        ("name|upper", "ANNA"),
        ("name.lower()", "anna"),
        ("'Ms ' ~ name", "Ms Anna"),
        ("name if name == 'Anna' else 'you'", "Anna"),
        ("name|replace('n', 'm')", "Amma"),
        ("name.split('n')|join('-')", "A--a"),
        ("name|length * 2 + 1", 9),
        ("(7.256)|round(1)", 7.3),
        ("'it''s' ~ \"}}\"", "its}}"),
        ("10 // 4", 2),
        ("10 % 4", 2),
    ],
)
def test_expressions_do_what_a_spreadsheet_needs(source: str, value: object) -> None:
    """Defaults, case, joining, choosing and a little arithmetic."""
    assert compile_expression(source).value({"name": "Anna"}) == value


@pytest.mark.parametrize(
    "source",
    [
        "''.__class__.__mro__",
        "name.__class__",
        "name.__init__.__globals__",
        "name['__class__']",
        "name|attr('__class__')",
        "(name|map('upper'))|list",
        "self.__init__",
        "self._TemplateReference__context",
        "cycler.__init__",
        "lipsum.__globals__",
        "config",
        "request.application",
        "namespace(a=1)",
        "range(10)",
        "'{0.__class__}'.format(name)",
        "'{:>2000000000}'.format(name)",
        "name.format_map({})",
        "'%2000000000s' % name",
        "'%s'|format(name)",
        "'a' * 10**9",
        "name * 1000000000",
        "10 ** 9",
        "(1,) * 1000000000",
        "name.ljust(2000000000)",
        "name.center(2000000000)",
        "name.zfill(2000000000)",
        "name|center(2000000000)",
        "name|indent(2000000000)",
        "name.expandtabs(2000000000)",
        "name.encode('utf-16')",
        "name.join(name)",
        "'%s' % name",
        "name|replace('', '" + "x" * 500 + "')|replace('x', '" + "y" * 500 + "')|length",
        "('a ' ~ name).split()|join('" + "x" * 500 + "')|replace('x', '" + "y" * 900 + "')|length",
        "name.split('n')|join('" + "x" * 900 + "')|replace('x', 'n" + "y" * 400 + "')|length",
        "7|round(-999999999)",
        "7.5|round(999999999)",
        "name|round('x')",
        "(" * 900 + "name" + ")" * 900,
        "not " * 400 + "name",
        "-" * 1500 + "1",
        "name" + " ~ name" * 1000,
        "1e400",
        "1e308 + 1e308",
        "1 / 0",
        "'1'|float / 0",
        "name + 1",
        "name.nope",
        "name.upper",
        "(name, name)",
        "{'a': name}",
        "name.split()",
        "nope",
        "name name",
        "{{ name }}",
        "name }}{{ name",
        "x for x in name",
        "",
        "=",
    ],
)
def test_what_a_spreadsheet_does_not_need_is_refused(source: str) -> None:
    """No way out of the sandbox, no text of a billion characters, no endless arithmetic, nothing but text and numbers."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).value({"name": "Anna"})
    assert len(str(caught.value)) < MAX_SOURCE + 200


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("name.nope", "'name.nope' fails here: 'str object' has no attribute 'nope'"),
        ("name.__class__", "unsafe"),
        ("name|shout", "is not an expression: No filter named 'shout'."),
        ("name.split()", "gives neither a text nor a number"),
        ("self", "write [self] for the column of that name"),
        ("[a", "square brackets hold the text of a header"),
        ("name|replace('', '" + "x" * 900 + "')|replace('x', '" + "y" * 900 + "')", "more than 100,000 characters"),
    ],
)
def test_a_refused_expression_says_why(source: str, said: str) -> None:
    """In words that lead to the slip."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).value({"name": "Anna"})
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["{% for a in b %}{% endfor %}", "{%- set x = 1 %}", "Hi {{ name", "{{ name }"])
def test_statements_and_loops_are_refused(bind: Bind, make_row: Row, text: str) -> None:
    """Only `{{ }}` is used: without loops nothing runs long."""
    (said,) = refusal(lambda: bind(make_row(), request={"template_id": "t", "variables": {"v": text}}))
    assert said.startswith("job.yaml:11:7: request.variables.v: ")


def test_an_expression_that_fails_for_a_row_is_a_flaw_of_that_row(bind: Bind, make_row: Row) -> None:
    """One odd cell stops no other row."""
    request = {"template_id": "t", "title": "always here", "variables": {"v": "{{ 100 / (name|float) }}"}}
    bound = bind(make_row(id="r1", name="0"), make_row(id="r2", name="8"), request=request)
    assert [body["variables"]["v"]["content"] for body in bodies(bound)] == ["12.5"]
    assert flaws(bound) == ["people.csv!B2: '100 / (name|float)' fails here: float division by zero"]


# --- empty cells


def test_an_optional_cell_leaves_its_whole_entry_out(bind: Bind, make_row: Row) -> None:
    """`logo: { image: "{{ logo? }}" }` without a logo is no logo at all."""
    request = {
        "template_id": "t",
        "title": "{{ company? }}",
        "variables": {"v": "{{ name }}", "l": {"image": "{{ logo? }}", "fit": "cover"}},
    }
    full, empty = bodies(bind(make_row(), make_row(id="r2", logo=" \u00a0", company=""), request=request))
    asset = {"type": "url", "url": "https://files.example.com/logo.png"}
    assert full["variables"]["l"] == {"type": "image", "asset": asset, "fit": "cover"}
    assert empty == {"variables": {"v": {"type": "text", "content": "Anna"}}}


@pytest.mark.parametrize("cell", ["", "  ", "\t", "\u00a0"])
@pytest.mark.parametrize("template", ["{{ name }}", "Hi {{ name }}"])
def test_a_required_empty_cell_is_told_at_its_cell(bind: Bind, make_row: Row, cell: str, template: str) -> None:
    """White space alone is empty."""
    request = {"template_id": "t", "title": "always here", "variables": {"v": template}}
    assert flaws(bind(make_row(name=cell), make_row(id="r2"), request=request)) == ["people.csv!B2: name is empty"]


def test_a_body_that_is_left_with_nothing_is_a_flaw_of_its_row(bind: Bind, make_row: Row) -> None:
    """The only cell of a request is empty: that row waits, and no other."""
    request = {"template_id": "t", "variables": {"v": "{{ name }}"}}
    bound = bind(make_row(name=""), make_row(id="r2"), request=request)
    assert flaws(bound) == ["people.csv!B2: name is empty"]
    assert len(bodies(bound)) == 1


# --- types


@pytest.mark.parametrize(("cell", "value"), [("30", 30), (" 25 ", 25), ("30.0", 30.0)])
def test_a_cell_becomes_a_number_only_where_one_is_wanted(bind: Bind, make_row: Row, cell: str, value: float) -> None:
    """The same cell is a number as `fps` and a text as `title`."""
    request = {"template_id": "t", "fps": "{{ name }}", "title": "{{ name }}", "variables": {"v": "{{ name }}"}}
    (body,) = bodies(bind(make_row(name=cell), request=request))
    assert (body["fps"], type(body["fps"])) == (value, type(value))
    assert (body["title"], body["variables"]["v"]["content"]) == (cell, cell)


@pytest.mark.parametrize(
    ("field", "cell", "said"),
    [
        ({"fps": "{{ name }}"}, "fast", "'fast' is not a number"),
        ({"fps": "{{ name }}"}, "24", "'24' is not one of: 25, 30, 60"),
        ({"fps": "{{ name }}"}, "1_000", "'1_000' is not a number"),
        ({"dimension": {"width": "{{ name }}", "height": 720}}, "12.5", "'12.5' is not a whole number"),
        ({"dimension": {"width": "{{ name }}", "height": 720}}, "721", "must be an even number from 128 to 4096"),
        ({"caption": "{{ name }}"}, "maybe", "'maybe' is neither true nor false"),
        ({"callback_url": "{{ name }}"}, "http://x.de/a", "must be a web address that begins with https://"),
    ],
)
def test_a_cell_of_the_wrong_type_is_told_at_its_cell(
    bind: Bind, make_row: Row, field: dict[str, Any], cell: str, said: str
) -> None:
    """What was expected stands in the message."""
    request = {"template_id": "t", "variables": {"v": "x"}, **field}
    assert flaws(bind(make_row(name=cell), request=request)) == [f"people.csv!B2: {said}"]


@pytest.mark.parametrize(
    ("cell", "value"), [("yes", True), ("TRUE", True), ("1", True), ("no", False), (" false ", False)]
)
def test_truth_may_be_written_as_people_write_it(bind: Bind, make_row: Row, cell: str, value: bool) -> None:
    """Where the API wants true or false, yes and no will do."""
    request = {"template_id": "t", "variables": {"v": "x"}, "caption": "{{ name }}"}
    assert bodies(bind(make_row(name=cell), request=request))[0]["caption"] is value


def test_a_text_over_the_limit_is_told_with_both_numbers(bind: Bind) -> None:
    """5,000 characters of script are allowed, 5,001 are not."""
    rows = [["r1", "a", "x" * 5000], ["r2", "a", "x" * 5001]]
    bound = bind(
        *rows,
        header=["id", "avatar", "script"],
        operation="heygen.video",
        request={k: AVATAR[k] for k in ("type", "avatar_id", "script")},
    )
    assert flaws(bound) == ["people.csv!C3: has 5,001 characters; 5,000 are allowed"]
    assert len(bodies(bound)) == 1


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("http://files.example.com/a.png", "is not a web address that begins with https://"),
        ("https://localhost/a.png", "is not a web address that begins with https://"),
        ("https://", "is not a web address that begins with https://"),
        ("https://files.example.com/a b.png", "is not a web address that begins with https://"),
        ("ftp://files.example.com/a.png", "is neither a web address that begins with https:// nor the id of an asset"),
        ("data:image/png;base64,AAAA", "is neither a web address that begins with https:// nor the id of an asset"),
        ("\\\\server\\logo.png", "'\\\\server\\logo.png' is on another machine; put the file into the sheet's folder"),
    ],
)
def test_a_link_that_the_api_cannot_fetch_is_told_at_its_cell(bind: Bind, make_row: Row, link: str, said: str) -> None:
    """HeyGen fetches https only."""
    request = {"template_id": "t", "variables": {"l": {"image": "{{ logo }}"}}}
    assert flaws(bind(make_row(logo=link), request=request)) == [f"people.csv!D2: {said}"]


def test_a_link_may_be_the_id_of_an_asset(bind: Bind, make_row: Row) -> None:
    """What is no address is an uploaded asset; blanks around it mean nothing."""
    request = {"template_id": "t", "variables": {"l": {"image": "{{ logo }}"}}}
    (body,) = bodies(bind(make_row(logo=" ast_12 "), request=request))
    assert body["variables"]["l"]["asset"] == {"type": "asset_id", "asset_id": "ast_12"}


def test_words_of_the_api_are_met_in_any_case(bind: Bind) -> None:
    """`1080P` is 1080p; an unknown word lists the known ones."""
    rows = [["r1", "a", "hi", "1080P "], ["r2", "a", "hi", "8k"]]
    request = {key: AVATAR[key] for key in ("type", "avatar_id", "script", "resolution")}
    bound = bind(*rows, header=["id", "avatar", "script", "res"], operation="heygen.video", request=request)
    assert bodies(bound)[0]["resolution"] == "1080p"
    assert flaws(bound) == ["people.csv!D3: '8k' is not one of: 4k, 1080p, 720p"]


def test_exactly_one_of_script_and_audio(bind: Bind) -> None:
    """Both and neither are told for their row; each alone is fine."""
    rows = [
        ["r1", "a", "hi", ""],
        ["r2", "a", "", "https://x.de/a.mp3"],
        ["r3", "a", "hi", "https://x.de/a.mp3"],
        ["r4", "a", "", ""],
    ]
    request = {key: AVATAR[key] for key in ("type", "avatar_id", "script", "audio_url")}
    bound = bind(*rows, header=["id", "avatar", "script", "audio"], operation="heygen.video", request=request)
    assert [sorted(body) for body in bodies(bound)] == [
        ["avatar_id", "script", "type"],
        ["audio_url", "avatar_id", "type"],
    ]
    assert flaws(bound) == [
        "people.csv row 4: needs exactly one of: script, audio_url, audio_asset_id",
        "people.csv row 5: needs exactly one of: script, audio_url, audio_asset_id",
    ]


def test_all_problems_of_a_row_are_told_at_once(bind: Bind) -> None:
    """Each at its own cell, and the other rows go on."""
    rows = [["r1", "", "x" * 5001, "", "8k"], ["r2", "a", "hi", "", ""]]
    bound = bind(*rows, header=["id", "avatar", "script", "audio", "res"], operation="heygen.video", request=AVATAR)
    assert flaws(bound) == [
        "people.csv!B2: avatar is empty",
        "people.csv!C2: has 5,001 characters; 5,000 are allowed",
        "people.csv!E2: '8k' is not one of: 4k, 1080p, 720p",
    ]
    assert len(bodies(bound)) == 1


# --- names where ids are meant


def test_a_name_stands_for_its_id(bind: Bind) -> None:
    """A voice by its name or id, in any case; a name that several share asks for the id."""
    request = {"type": "avatar", "avatar_id": "a", "script": "hi", "voice_id": "{{ voice }}"}
    rows = [["1", "anna"], ["2", " v2 "], ["3", "Ben"], ["4", "Annna"]]
    bound = bind(*rows, header=["id", "voice"], operation="heygen.video", request=request, choices={"voices": VOICES})
    assert [body["voice_id"] for body in bodies(bound)] == ["v1", "v2"]
    assert flaws(bound) == [
        "people.csv!B4: several voices are called 'Ben': write the id, one of v2, v3",
        "people.csv!B5: unknown voice 'Annna'; did you mean 'Anna'?",
    ]


def test_an_unknown_language_names_the_nearest(bind: Bind) -> None:
    """In a cell it is a flaw of the row, in the job an error of the job."""
    request = {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]}
    translate = {"operation": "heygen.translation", "choices": {"languages": LANGUAGES}, "header": ["id", "language"]}
    bound = bind(["1", "Spanish"], ["2", "german"], request=request, **translate)
    assert flaws(bound) == [
        "people.csv!B2: unknown language 'Spanish'; did you mean 'Spanish (Spain)' or 'Spanish (Mexico)'?"
    ]
    assert bodies(bound)[0]["output_languages"] == ["German"]
    wrong = {**request, "output_languages": ["Germn"]}
    (said,) = refusal(lambda: bind(["1", "x"], request=wrong, **translate))
    assert said == "job.yaml:11:7: request.output_languages.0: unknown language 'Germn'; did you mean 'German'?"


# --- the job itself is wrong


@pytest.mark.parametrize(
    ("request_", "place", "said"),
    [
        (
            {"template_id": "t", "variables": {"v": "x"}, "titel": "x"},
            "13:5",
            "unknown key 'titel'; did you mean 'title'?",
        ),
        ({"template_id": "", "variables": {"v": "{{ name }}"}}, "9:5", "template_id"),
        (
            {"template_id": "t", "variables": {"v": "x"}, "fps": 24},
            "13:5",
            "request.fps: '24' is not one of: 25, 30, 60",
        ),
        (
            {"template_id": "t", "variables": {"v": "x"}, "caption": "maybe"},
            "13:5",
            "request.caption: 'maybe' is neither",
        ),
        ({"template_id": "t", "variables": {"v": "x"}, "dimension": {"width": 720}}, "13:5", "'height' is missing"),
        ({"template_id": "t", "variables": {"v": {"image": "http://x.de/a.png"}}}, "12:9", "is not a web address"),
        ({"template_id": "t", "variables": {}}, "10:5", "request.variables: is empty"),
        ({"template_id": "t"}, "8:3", "'variables' is missing"),
        ({"variables": {"v": "x"}}, "8:3", "'template_id' is missing"),
    ],
)
def test_a_constant_fault_is_told_once_at_its_line_in_the_job(
    bind: Bind, make_row: Row, request_: dict[str, Any], place: str, said: str
) -> None:
    """What no cell can mend is the job's fault, and blocks everything."""
    found = refusal(lambda: flaws(bind(make_row(), make_row(id="r2"), request=request_)))
    assert len(found) == 1
    assert found[0].startswith(f"job.yaml:{int(place.split(':')[0])}:")
    assert said in found[0]


# --- fan-out


FAN: dict[str, Any] = {
    "operation": "heygen.translation",
    "header": ["id", "langs"],
    "request": {"video": "https://x.de/v.mp4", "output_languages": ["{{ language }}"]},
    "for_each": {"language": {"column": "langs"}},
}


def test_a_cells_list_becomes_one_task_each(bind: Bind) -> None:
    """Trimmed, empties and repeats dropped."""
    bound = bind(["r1", "German; French,,German\n ;Italian "], **FAN)
    assert [body["output_languages"] for body in bodies(bound)] == [["German"], ["French"], ["Italian"]]
    (row,) = bound.rows()
    assert [task.key.item for task in bound.tasks(row)] == ["German", "French", "Italian"]


def test_the_members_name_goes_before_a_column_of_that_name(bind: Bind) -> None:
    """`{{ language }}` is one language even where the column with the list is called so; brackets hold the column."""
    request = {**FAN["request"], "title": "{{ [language] or '' }} → {{ language|upper }}"}
    changes = {
        **FAN,
        "header": ["id", "language"],
        "request": request,
        "for_each": {"language": {"column": "language"}},
    }
    bound = bind(["r1", "German;French"], **changes, results={"prefix": "our "})
    assert [(body["output_languages"][0], body["title"]) for body in bodies(bound)] == [
        ("German", "German;French → GERMAN"),
        ("French", "German;French → FRENCH"),
    ]


# --- bodies against the API's own description


def closed(schema: Any) -> Any:
    """A schema in which an object that lists its keys has no others, all the way down."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {"anyOf" if key == "oneOf" else key: closed(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        made["additionalProperties"] = False
    return made


@cache
def strict_schema(operation: str) -> Any:
    """The API's own description of a body, closed."""
    method, path = operation.split(" ")
    content = description()["paths"][path][method.lower()]["requestBody"]["content"]
    return validator_for(closed(content["application/json"]["schema"]))


SPEECH = {
    "voice_settings": {"speed": "1.1", "locale": "de-DE"},
    "caption": {"file_format": "srt"},
    "background": "#F4F1E8",
}
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "template": (
        "heygen.template",
        "POST /v3/templates/{template_id}",
        {
            "template_id": "t",
            "title": "Hi {{ name }}",
            "fps": "30",
            "variables": {"a": "{{ name }}", "b": {"image": "{{ logo }}", "fit": "cover"}},
        },
    ),
    "template media": (
        "heygen.template",
        "POST /v3/templates/{template_id}",
        {
            "template_id": "t",
            "variables": {
                "v": {"video": "{{ logo }}"},
                "a": {"audio": "ast_1"},
                "s": {"voice": "v1"},
                "c": {"avatar": "a1"},
            },
        },
    ),
    "avatar with script": (
        "heygen.video",
        "POST /v3/videos",
        {"type": "avatar", "avatar_id": "a", "script": "{{ name }}", "voice_id": "v", **SPEECH},
    ),
    "avatar with audio": (
        "heygen.video",
        "POST /v3/videos",
        {"type": "avatar", "avatar_id": "a", "audio_url": "{{ logo }}", "resolution": "1080p"},
    ),
    "image": (
        "heygen.video",
        "POST /v3/videos",
        {"type": "image", "image": "{{ logo }}", "script": "{{ name }}", "voice_id": "v", "background": "{{ logo }}"},
    ),
    "translation": (
        "heygen.translation",
        "POST /v3/video-translations",
        {
            "video": "{{ logo }}",
            "output_languages": ["German"],
            "title": "{{ name }}",
            "mode": "speed",
            "speaker_num": "2",
            "srt": "{{ logo }}",
            "srt_role": "input",
        },
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_bodies_are_what_the_api_describes(bind: Bind, make_row: Row, case: str) -> None:
    """The real API rejects unknown fields: the description, made strict, accepts every body of ours."""
    operation, described, request = REQUESTS[case]
    (body,) = bodies(bind(make_row(), operation=operation, request=request))
    assert [each.message for each in strict_schema(described).iter_errors(body)] == []
    check(described, body)  # as the simulator does, which knows some limits from the prose as well


@pytest.mark.parametrize("case", REQUESTS)
def test_a_misspelt_field_is_refused_by_the_same_description(bind: Bind, make_row: Row, case: str) -> None:
    """The canary: a check that accepts everything would prove nothing."""
    operation, described, request = REQUESTS[case]
    (body,) = bodies(bind(make_row(), operation=operation, request=request))
    assert not strict_schema(described).is_valid({**body, "titel": "x"})
    groups = {key: each for key, each in body.items() if isinstance(each, dict) and key != "variables"}
    assert not [
        key for key, each in groups.items() if strict_schema(described).is_valid({**body, key: {**each, "tpye": "x"}})
    ]


@pytest.mark.parametrize("case", REQUESTS)
def test_a_misspelt_field_of_a_job_is_refused_before_it_is_sent(bind: Bind, make_row: Row, case: str) -> None:
    """Our own schema is as strict as the API."""
    operation, _, request = REQUESTS[case]
    (said,) = refusal(lambda: flaws(bind(make_row(), operation=operation, request={**request, "titel": "x"})))
    assert "unknown key 'titel'; did you mean 'title'?" in said


JOBS = {
    "welcome": "POST /v3/templates/{template_id}",
    "announcements": "POST /v3/videos",
    "translations": "POST /v3/video-translations",
}


@pytest.mark.parametrize("name", JOBS)
def test_bodies_of_the_sample_jobs_are_what_the_api_describes(name: str, request: pytest.FixtureRequest) -> None:
    """Every row of the sample sheets that we call valid."""
    job: Job = load_job(request.config.rootpath / "jobs" / f"{name}.yaml")
    provider, operations = find_operations(job)
    bound = BoundJob(job, provider=provider, operations=operations, sheet=open_job_sheet(job), choices={})
    made = bodies(bound)
    assert made
    for body in made:
        strict_schema(JOBS[name]).validate(body)


def test_an_avatar_of_a_template_goes_by_its_name(
    bind: Callable[..., BoundJob], make_row: Callable[..., dict[str, str]]
) -> None:
    """As the job calls the variable: `avatar`, whatever field of the body that becomes."""
    known = {"avatars": Choices("avatars", [Choice(id="look_1", name="Mei")])}
    request = {"template_id": "t", "variables": {"host": {"avatar": "{{ name }}"}}}
    bound = bind(make_row(name="mei"), make_row(id="r2", name="Nobody"), request=request, choices=known)
    first, second = (task for row in bound.rows() for task in bound.tasks(row))
    assert json.loads(first.body)["variables"]["host"]["character_id"] == "look_1"
    assert second.flaws[0][1].startswith("unknown avatar 'Nobody'")


# --- which cell a failure is about

SCENES = {
    "type": "studio",
    "title": "{{ first }} {{ last }}",
    "scenes": [
        {"type": "avatar", "input": {"avatar_id": "av", "voice_id": "{{ voice? }}", "script": "{{ intro? }}"}},
        {"type": "avatar", "input": {"avatar_id": "{{ avatar }}", "voice_id": "{{ voice }}", "script": "{{ outro }}"}},
    ],
}
TEMPLATE = {
    "template_id": "{{ template }}",
    "title": "fixed",
    "variables": {"first_name": "{{ first }}", "city": "{{ last }}", "logo": {"image": "{{ logo? }}"}},
}
LIPSYNC = {"video": "{{ clip }}", "audio": "{{ sound }}", "title": "{{ first }}"}


@pytest.mark.parametrize(
    ("operation", "request_", "code", "said", "headers"),
    [
        ("heygen.template", TEMPLATE, "invalid_parameter", "variables.first_name.content: too long", ["first"]),
        ("heygen.template", TEMPLATE, "invalid_parameter", "variables.logo.asset.url: not reachable", ["logo"]),
        ("heygen.template", TEMPLATE, "invalid_parameter", "body.variables[city]: too long", ["last"]),
        ("heygen.template", TEMPLATE, "invalid_parameter", "first_name has to be shorter", ["first"]),
        ("heygen.template", TEMPLATE, "invalid_parameter", "the variable 'city' is not known", ["last"]),
        ("heygen.template", TEMPLATE, "invalid_parameter", "no city has this name", []),
        ("heygen.template", TEMPLATE, "invalid_parameter", "see https://docs.example.com/first_name", []),
        ("heygen.template", TEMPLATE, "template_not_found", "Template tpl_9 not found", ["template"]),
        ("heygen.template", TEMPLATE, "download_failed", "Failed to download video from url", ["logo"]),
        ("heygen.template", TEMPLATE, "content_policy_violation", "The text is not allowed", []),
        ("heygen.template", TEMPLATE, "invalid_parameter", "title: too long", []),
        ("heygen.template", TEMPLATE, "rendering_failed", "Rendering failed, please try again", []),
        ("heygen.lipsync", LIPSYNC, "download_failed", "Failed to download audio from url", ["sound"]),
        ("heygen.lipsync", LIPSYNC, "download_failed", "It could not be fetched", []),
        ("heygen.video", SCENES, "invalid_parameter", "title: too long", ["first", "last"]),
        ("heygen.video", SCENES, "invalid_parameter", "scenes.1.input.script: too long", ["outro"]),
        ("heygen.video", SCENES, "voice_not_found", "Voice v9 not found", ["voice"]),
        ("heygen.video", SCENES, "avatar_not_found", "Avatar a9 not found", ["avatar"]),
    ],
)
def test_a_failure_is_led_back_to_the_cells_it_names(
    bind: Bind, operation: str, request_: dict[str, Any], code: str, said: str, headers: list[str]
) -> None:
    """By the path of a field, its name, or what is known of the code; where several could be meant, to none."""
    header = ["id", "first", "last", "logo", "template", "clip", "sound", "voice", "intro", "avatar", "outro"]
    link = "https://example.com/a.png"
    cells = ["r1", "Ann", "Bern", link, "tpl_9", link, link, "v9", "Hi", "a9", "Bye"]
    bound = bind(cells, header=header, operation=operation, request=request_)
    (row,) = [each.row for each in bound.rows()]
    found = bound.steps[""].columns_about(row, item="", code=code, error=said)

    assert [header[column] for column in found] == headers


def test_a_member_of_a_list_is_counted_as_it_was_sent(bind: Bind) -> None:
    """A row that leaves the first reference out has sent its second one as the first."""
    request = {
        "type": "cinematic_avatar",
        "prompt": "A walk",
        "avatar_id": ["av"],
        "references": ["{{ one? }}", "{{ two }}"],
    }
    bound = bind(
        ["r1", "", "https://example.com/b.png"], header=["id", "one", "two"], operation="heygen.video", request=request
    )
    (row,) = [each.row for each in bound.rows()]
    said = "references.0: not reachable"

    assert bound.steps[""].columns_about(row, item="", code="invalid_parameter", error=said) == (2,)


def test_a_language_that_is_refused_is_led_back_to_the_cell_with_the_languages(bind: Bind) -> None:
    """The request holds a member of the fan-out, and the person has written the members."""
    request = {"video": "{{ clip }}", "output_languages": ["{{ language }}"]}
    bound = bind(
        ["r1", "https://example.com/a.mp4", "German"],
        header=["id", "clip", "Languages"],
        operation="heygen.translation",
        request=request,
        for_each={"language": {"column": "Languages"}},
    )
    (row,) = [each.row for each in bound.rows()]
    said = "output_languages: this language is not supported"

    assert bound.steps[""].columns_about(row, item="German", code="invalid_parameter", error=said) == (2,)
