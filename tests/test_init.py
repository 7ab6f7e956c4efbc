"""`batcher init`: for every operation a workbook that people can fill in, and a job that runs."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stand_ins import json_server, run_job
from test_operations import OPERATIONS, environment, other_apis
from test_own_provider import CATALOG, Rendermill

from batcher.catalog.load import provider_of
from batcher.cli.main import main
from batcher.document import parse_document
from batcher.job import job_schema, load_job
from batcher.lists import Lists
from batcher.mapping.choice import Choice, Choices
from batcher.sheet import SheetSpec, open_sheet
from batcher.simulator import Running
from batcher.starter import Wish, begin
from batcher.workbook import InPlaceUpdate, update_workbook

TEMPLATES = {
    "heygen.template": "tpl_presenter",
    "heygen.v2.template": "Invoice reminder",
    "synthesia.template": "Reminder",
}
VARIABLES = {"synthesia.template": "first_name,amount", "shotstack.template": "NAME,LINE"}
needs_office = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")


@pytest.fixture
def folder(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands are called; no provider is known by its own address."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def at_hand(folder: Path, make_simulator: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every provider at an address of this machine; v1 and v2 still alive."""
    heygen = make_simulator(hostile=frozenset({"v2=alive"})).url
    with ExitStack() as stack:
        others = stack.enter_context(other_apis())
        for variable, url in environment(heygen).items():
            monkeypatch.setenv(variable, others if variable.startswith(("SYNTHESIA", "SHOTSTACK")) else url)
        yield heygen


def arguments(operation: str) -> list[str]:
    """What init needs to know of an operation beside its name."""
    more = ["--variables", VARIABLES[operation]] if operation in VARIABLES else []
    template = TEMPLATES.get(operation, "ca84c7c5" if operation == "shotstack.template" else "")
    return [*more, *(["--template-id", template] if template else [])]


def release(path: Path) -> None:
    """Give the example rows ids of their own, as a person does who fills in the sheet."""
    if path.suffix == ".csv":
        path.write_text(path.read_text(encoding="utf-8-sig").replace("example-", "row-"), encoding="utf-8")
        return
    book = openpyxl.load_workbook(path)
    for cells in book["Rows"].iter_rows(min_row=2):
        cells[0].value = str(cells[0].value).replace("example-", "row-")
    book.save(path)


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_made_job_passes_and_its_examples_run_to_the_end(operation: str, kind: str, folder: Path, at_hand: str) -> None:
    """At once nothing is wrong and nothing would be sent; with ids of their own the example rows are made."""
    flags = ["--csv"] if kind == "csv" else []
    assert main(["init", operation, "made", *arguments(operation), *flags]) == 0
    job = folder / "made" / "made.yaml"
    assert main(["check", str(job)]) == 0
    words = run_made(job).tally.words
    assert words["skipped"] == sum(words.values()) == 2

    release(folder / "made" / f"made.{kind}")

    assert run_made(job).tally.words["done"] == 2


def run_made(job: Path) -> Any:
    """The ending of a run against the addresses of this test."""
    environ = {name: os.environ[name] for name in environment("")}
    return run_job(job, state=job.parent / "state", environ=environ).ending


def made(*more: str, operation: str = "heygen.template", template: str = "tpl_presenter") -> Path:
    """A folder made by init; the path of the workbook, or of the CSV file."""
    chosen = ["--template-id", template] if template else []
    assert main(["init", operation, "made", *chosen, *more]) == 0
    return Path("made") / ("made.csv" if "--csv" in more else "made.xlsx")


def lists(book: Any) -> dict[str, list[str]]:
    """Letter of a column of the tab Rows to the texts that can be picked there."""
    found = {}
    for rule in book["Rows"].data_validations.dataValidation:
        if rule.type == "list":
            tab, _, cells = rule.formula1.rpartition("!")
            found[str(rule.sqref)[0]] = [row[0].value for row in book[tab.strip("'")][cells.replace("$", "")]]
    return found


def test_workbook_says_what_goes_in(at_hand: str) -> None:
    """Every header has a note, the header stays in sight, ids are texts, and lists are picked from a hidden tab."""
    book = openpyxl.load_workbook(made())
    rows = book["Rows"]

    assert [cell.value for cell in rows[1]] == ["Row id", "Greeting", "Presenter", "Speaker", "Clip", "Music"]
    assert "Required." in rows["B1"].comment.text
    assert "At most 10,000 characters." in rows["B1"].comment.text
    assert "May be empty" in rows["C1"].comment.text
    assert "files/example.mp4 (mp4, webm)" in rows["E1"].comment.text
    assert "files/" not in rows["B1"].comment.text
    assert rows.freeze_panes == "B2"
    assert rows.column_dimensions["A"].number_format == rows["A2"].number_format == "@"
    assert book["Lists"].sheet_state == "hidden"
    assert lists(book)["C"][:2] == ["Abigail casual", "Abigail in the office"]


def test_cells_check_what_they_can(folder: Path) -> None:
    """A repeated id and a number out of range are refused where they are typed; a long text is told."""
    rows = openpyxl.load_workbook(made("--offline", operation="heygen.speech", template=""))["Rows"]
    rules = {str(rule.sqref)[0]: rule for rule in rows.data_validations.dataValidation}

    assert {letter: (rule.type, rule.errorStyle) for letter, rule in rules.items()} == {
        "A": ("custom", "stop"),
        "B": ("textLength", "warning"),
        "D": ("decimal", "stop"),
    }
    assert (rules["D"].formula1, rules["D"].formula2) == ("0.5", "2.0")
    assert [cell.value for cell in rows["D"]] == ["Speed", 1, 1.1]


def test_names_that_several_share_are_told_apart(at_hand: str) -> None:
    """What stands in a list can be picked: two voices of one name carry their ids."""
    voices = lists(openpyxl.load_workbook(made()))["D"]

    assert [each for each in voices if each.startswith("Maria")] == ["Maria (voice_maria_es)", "Maria (voice_maria_pt)"]


@pytest.mark.parametrize(
    "members",
    [
        [("1", "Maria"), ("2", "maria ")],
        [("1", "2"), ("2", "1")],
        [("1", ""), ("2", "  ")],
        [("1", "two  blanks"), ("2", "Two Blanks"), ("3", "x (1)"), ("1x", "x")],
    ],
)
def test_every_label_means_its_own(members: list[tuple[str, str]]) -> None:
    """However a list is called, what people pick leads to one id, and every id can be picked."""
    known = Choices("voices", [Choice(id=each, name=name) for each, name in members])

    assert sorted(known.resolve(label) for label in known.labels) == sorted(each for each, _ in members)


def test_nothing_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file that is there is enough: it is named, it stays, and none of the others appears."""
    (folder / "made").mkdir()
    (folder / "made" / "made.yaml").write_text("mine", encoding="utf-8")

    assert main(["init", "heygen.lipsync", "made", "--offline"]) == 2

    assert "made.yaml: is there already and is never written over" in capsys.readouterr().err
    assert [path.name for path in (folder / "made").iterdir()] == ["made.yaml"]
    assert (folder / "made" / "made.yaml").read_text(encoding="utf-8") == "mine"


def test_failed_writing_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle leaves neither half a folder nor a sheet without its job."""
    import batcher.starter.folder as writer

    place = writer._place

    def full(file: Path, target: Path) -> None:
        if target.suffix == ".yaml":
            raise OSError(28, "No space left on device")
        place(file, target)

    monkeypatch.setattr(writer, "_place", full)

    assert main(["init", "heygen.lipsync", "made", "--offline"]) == 2
    assert not (folder / "made").exists()


def test_example_rows_stay_examples_however_they_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row is left out by its id, whatever its case; any other row counts."""
    path = made("--csv", "--offline", operation="heygen.lipsync", template="")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    link = "https://files.example.com/a.mp4"
    path.write_text("\n".join([lines[0], f" EXAMPLE-7,{link},{link}", f"r-1,{link},{link}"]), encoding="utf-8")

    assert main(["check", "made/made.yaml", "--offline"]) == 0

    assert "2 rows = 1 waiting + 1 skipped" in capsys.readouterr().out


def test_offline_says_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the network there are no lists and no variables, and both are told."""
    book = openpyxl.load_workbook(made("--offline", "--variables", "first_name,postcode"))

    said = capsys.readouterr().out
    assert "the template's variables are not known" in said
    assert [cell.value for cell in book["Rows"][1]] == ["Row id", "First name", "Postcode"]
    assert book["Rows"]["C2"].number_format == "@"
    assert book.sheetnames == ["Rows", "Instructions"]


def test_what_is_set_stands_in_the_job(at_hand: str, folder: Path) -> None:
    """What is the same for every row needs no column, decides which form is meant, and leaves its rivals out."""
    more = ["--set", "type=image", "--set", "audio_url=https://files.example.com/a.mp3"]
    header = open_sheet(SheetSpec(path=made(*more, "--csv", operation="heygen.video", template=""))).header

    assert list(header) == ["Row id", "Image", "Voice"]
    request = load_job(folder / "made" / "made.yaml").steps[0].request
    assert request["type"] == "image"
    assert request["audio_url"] == "https://files.example.com/a.mp3"


@pytest.mark.parametrize(
    ("operation", "settings", "key", "value"),
    [
        ("heygen.video", "voice_settings.speed=1.1", "voice_settings", {"speed": 1.1}),
        ("heygen.video", "voice_id=Ben", "voice_id", "voice_ben"),
        ("heygen.translation", "output_languages=German", "output_languages", ["German"]),
        ("heygen.background_removal", "layers=Mask", "layers", ["mask"]),
    ],
)
def test_parts_and_lists_can_be_set(
    operation: str, settings: str, key: str, value: Any, at_hand: str, folder: Path
) -> None:
    """As the API has them: of its types and words, and by the ids of names."""
    made("--set", settings, operation=operation, template="")

    assert load_job(folder / "made" / "made.yaml").steps[0].request[key] == value
    assert main(["check", "made/made.yaml"]) == 0


def test_variables_can_be_the_same_for_every_row(at_hand: str, folder: Path) -> None:
    """A variable that is set has no column, whatever its kind."""
    path = made(
        "--set", "variables.company=Acme", "--set", "variables.logo=https://x.example.com/a.png", template="Welcome"
    )
    release(path)

    assert [cell.value for cell in openpyxl.load_workbook(path)["Rows"][1]] == ["Row id", "First name"]
    assert run_made(folder / "made" / "made.yaml").tally.words["done"] == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["heygen.templat"], "unknown operation 'heygen.templat'; did you mean 'heygen.template'?"),
        (["heygen.template"], "needs the template whose variables are filled in; there are tpl_presenter"),
        (["heygen.template", "--template-id", "nope"], "Template nope not found; there are tpl_presenter"),
        (["heygen.video", "--template-id", "x"], "heygen.video takes no template"),
        (["heygen.video", "--set", "type=imag"], "'imag' is none of avatar, image, cinematic_avatar, studio"),
        (["heygen.video", "--set", "resolutio=4k"], "takes no 'resolutio'; did you mean 'resolution'?"),
        (["heygen.video", "--set", "voice_settings=fast"], "has parts of its own: set voice_settings.speed or"),
        (
            ["heygen.template", "--template-id", "Welcome", "--set", "variables.compny=x"],
            "did you mean 'variables.company'",
        ),
        (["heygen.video", "--set", "resolution"], "'resolution' is not of the form KEY=VALUE"),
        (["heygen.video", "--name", "a b"], "'a b' cannot be the name of a job"),
    ],
)
def test_wrong_wishes_are_told(more: list[str], said: str, at_hand: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer names what would do; nothing is written."""
    assert main(["init", *more]) == 2

    assert said in capsys.readouterr().err
    assert [path for path in Path().iterdir() if path.name != "state"] == []


def test_without_an_operation_all_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each."""
    assert main(["init"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(OPERATIONS)


def test_csv_has_its_instructions_beside_it(folder: Path, at_hand: str) -> None:
    """What notes and the second tab say in a workbook stands in a text file."""
    path = made("--csv", operation="heygen.speech", template="")

    with path.open(encoding="utf-8-sig", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["Row id", "example-1", "example-2"]
    said = (folder / "made" / "made-instructions.txt").read_text(encoding="utf-8")
    assert "Text: needed · What is said. At most 5,000 characters." in said
    assert "the links stand in the file made-results.csv" in said
    assert "One of these: Aisha, Anna" in said
    assert "in made-results.csv, and save that file as made.csv" in said
    assert 'correct it, then write "again"' in said


def test_instructions_hold_no_words_of_the_terminal(folder: Path) -> None:
    """They are for a person who lives in a spreadsheet."""
    tab = openpyxl.load_workbook(made("--offline", operation="heygen.video", template=""))["Instructions"]
    said = " ".join(str(cell.value) for row in tab for cell in row if cell.value)

    assert not re.search(r"\b(terminal|command|YAML|JSON|ledger|run batcher|--\w+)\b", said)
    assert {"again", "hold", "sample", "unsure"} <= {tab.cell(row=number, column=1).value for number in range(1, 60)}


def test_texts_of_the_api_become_no_formulas(folder: Path) -> None:
    """A template may show `=1+1`, and a list may hold a name that begins with a plus."""
    from batcher.workbook.form import Form, FormColumn
    from batcher.workbook.make import make_workbook

    column = FormColumn(header="=A1", note="n", choices=("+1", "=2", "007"), examples=("=1+1", "-5"))
    make_workbook(Form(columns=(column,), example_mark="example", instructions=()), folder / "f.xlsx")
    book = openpyxl.load_workbook(folder / "f.xlsx")

    cells = [*book["Rows"]["A"], *book["Lists"]["A"]]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in book["Lists"]["A"]] == ["=A1", "+1", "=2", "007"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(names=st.lists(NAMES, min_size=1, max_size=6, unique=True))
@example(names=["error", "Row id", "row_id", "batcher_status", "video_url", "ERROR"])
@example(names=["a]b", "{{x}}", "{% x %}", "yes", "null", "1e5", "a: b", "#x", "-", "\x85", "\u2028", "it's", "x?"])
def test_any_names_of_variables_make_a_job_that_reads_back(names: list[str]) -> None:
    """Whatever a template calls its variables: the job holds them all, and every cell it names has its column."""
    provider = provider_of("synthesia.template")
    assert provider is not None
    wish = Wish(name="made", template_id="T", variables=names)
    lists = Lists(account=None, client=None, state=Path(), clock=lambda: 0.0)
    begun = begin(provider, provider.operations["synthesia.template"], wish, lists=lists)

    request = parse_document(begun.job_text, name="made.yaml", schema=job_schema()).value["request"]
    columns = {f"{{{{ {column.header} }}}}": column for column in begun.form.columns}
    assert list(request["templateData"]) == names
    assert all(text in columns for text in request["templateData"].values())
    assert len({each.header.casefold() for each in begun.form.columns}) == len(names) + 1
    assert not {each.header.casefold() for each in begun.form.columns} & {"error", "batcher_status", "video_url"}


def test_provider_of_ones_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A described API gets its workbook too; the job finds the description from where it lies."""
    (folder / "rendermill.yaml").write_text(CATALOG, encoding="utf-8")
    with json_server(Rendermill().answer) as server:
        monkeypatch.setenv("RENDERMILL_BASE_URL", server.url)
        more = ["--catalog", "rendermill.yaml", "--variables", "title,line"]
        path = made(*more, operation="rendermill.film", template="Welcome")
        release(path)
        job = folder / "made" / "made.yaml"
        ended = run_job(job, state=folder / "state", environ={"RENDERMILL_BASE_URL": server.url}).ending

    assert ended.tally.words["done"] == 2
    assert load_job(job).steps[0].request["template"] == "k4"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_offline_folder_passes_an_offline_check(
    operation: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without key and network, for every operation; the released examples hold what the job wants."""
    assert main(["init", operation, "made", *arguments(operation), "--offline"]) == 0
    release(folder / "made" / "made.xlsx")

    assert main(["check", "made/made.yaml", "--offline"]) == 0
    assert "2 rows = 2 waiting" in capsys.readouterr().out


def test_template_without_variables_is_no_template_for_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row would be the same video."""
    with json_server(
        lambda asked: (200, {"data": [] if asked.path.endswith("templates") else {"variables": {}}})
    ) as api:
        monkeypatch.setenv("HEYGEN_BASE_URL", api.url)

        assert main(["init", "heygen.template", "--template-id", "t"]) == 2


def test_template_that_cannot_be_asked_for_is_no_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its variables the workbook would have the wrong columns: run again, or say --offline."""
    with json_server(lambda asked: (503, {})) as api:
        monkeypatch.setenv("HEYGEN_BASE_URL", api.url)

        assert main(["init", "heygen.template", "--template-id", "t"]) == 75
    assert not [path for path in folder.iterdir() if path.name != "state"]


@pytest.mark.parametrize("flag", [[], ["--csv"]])
def test_dots_in_a_name_stay(flag: list[str], folder: Path) -> None:
    """`spring.v2` is a name as good as any."""
    assert main(["init", "heygen.lipsync", "made", "--name", "spring.v2", "--offline", *flag]) == 0

    job = load_job(folder / "made" / "spring.v2.yaml")
    assert job.sheet.file.stem == "spring.v2"
    assert job.results.file.name in (job.sheet.file.name, f"spring.v2-results{job.sheet.file.suffix}")


def test_results_come_into_the_made_workbook(at_hand: str) -> None:
    """Our columns at the right leave notes, lists and formats as they were."""
    path = made()
    before = openpyxl.load_workbook(path)
    values = {2: ("done", "https://x.example.com/a.mp4"), 3: ("failed", "")}
    update = InPlaceUpdate(header=("batcher_status", "video_url"), rows=values, notes=(), links=(1,), status=0)

    read = hashlib.sha256(path.read_bytes()).hexdigest()
    update_workbook(path, tab="Rows", header_row=1, update=update, read_fingerprint=read)

    after = openpyxl.load_workbook(path)
    assert [cell.value for cell in after["Rows"][1]][6:] == ["batcher_status", "video_url"]
    assert lists(after) == lists(before)
    assert [cell.comment.text for cell in after["Rows"][1][:6]] == [cell.comment.text for cell in before["Rows"][1]]
    assert after["Rows"].conditional_formatting
    assert after["Rows"].column_dimensions["A"].number_format == "@"


@needs_office
def test_libreoffice_keeps_notes_and_lists(at_hand: str, folder: Path) -> None:
    """The workbook opens there, and what it holds survives being saved."""
    path = made()
    office = [
        f"-env:UserInstallation=file://{folder}/office",
        "--headless",
        "--convert-to",
        "xlsx",
        "--outdir",
        "again",
    ]
    subprocess.run(["soffice", *office, str(path)], check=True, capture_output=True, timeout=180)
    before, after = openpyxl.load_workbook(path), openpyxl.load_workbook(folder / "again" / path.name)

    assert after.sheetnames == before.sheetnames
    assert after["Lists"].sheet_state == "hidden"
    assert lists(after) == lists(before)
    for ours, theirs in zip(before["Rows"][1], after["Rows"][1], strict=True):
        assert theirs.value == ours.value
        assert theirs.comment.text.split() == ours.comment.text.split()
    assert after["Rows"]["A2"].number_format == "@"


def test_lists_that_were_read_a_moment_ago_are_not_read_again(
    folder: Path, signed_in: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of voices has many pages; its age is told."""
    wish = ["init", "heygen.speech", "--csv"]
    first = main([*wish, "--name", "one"])
    asked = signed_in.report()["requests"]["GET /v3/voices"]
    second = main([*wish, "--name", "two"])

    assert (first, second) == (0, 0)
    assert signed_in.report()["requests"]["GET /v3/voices"] == asked > 0
    assert "speech voices as of" in capsys.readouterr().out
    assert (folder / "two" / "two.yaml").exists()
