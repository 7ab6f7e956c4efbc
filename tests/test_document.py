"""YAML in: what is plain is read as it is written, what is hostile or mistaken is refused with its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batcher.document import MAX_BYTES, MAX_DEPTH, document_from_value, parse_document, read_document
from batcher.errors import InputError
from batcher.job import job_schema

CORPUS = Path(os.environ.get("BATCHER_CORPORA") or Path(__file__).parents[1].parent / "shared" / "corpora")
HOSTILE = CORPUS / "hostile-yaml"
OPEN: dict[str, Any] = {}
"""The schema that accepts everything."""


def read(text: str, schema: Any = OPEN) -> Any:
    """The value of a YAML text."""
    return parse_document(text, name="job.yaml", schema=schema).value


def refusal(text: str, schema: Any = OPEN) -> list[str]:
    """What is said about a YAML text that must be refused."""
    with pytest.raises(InputError) as caught:
        read(text, schema)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture(params=["C", "Python"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both of PyYAML's parsers: the C one is not there on every machine."""
    if request.param == "C" and not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML was built without its C parser")
    if request.param == "Python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    return str(request.param)


@pytest.mark.parametrize(
    "written",
    [
        "NO",
        "no",
        "yes",
        "on",
        "Off",
        "y",
        "010",
        "0o17",
        "0x1F",
        "12:30",
        "12:30:00",
        "1.10",
        "1_000",
        "2024-01-02",
        "1e3",
        "+1",
        ".5",
        "5.",
        ".inf",
        ".nan",
        "=",
        "007",
        "99999999999999999999",
        "1.0e5x",
        "-01",
        "True",
        "NULL",
        "~x",
    ],
)
def test_only_plain_numbers_are_numbers(written: str, loader: str) -> None:
    """Norway, octal, sexagesimal, versions, dates and ids stay as they are written."""
    assert read(f"a: {written}") == {"a": written}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"12"', "12"),
        ("'true'", "true"),
        ("|\n  12", "12"),
        ("12 # twelve", 12),
    ],
)
def test_plain_numbers_and_truths_are_values(written: str, value: object) -> None:
    """Where the schema is open, what can mean only one thing is that thing; quotes make it text."""
    assert read(f"a: {written}") == {"a": value}


@pytest.mark.parametrize("written", ["12", "1.10", "true", "null", "010", "NO", "2024-01-02"])
def test_text_stays_text_where_text_is_wanted(written: str) -> None:
    """A schema that wants text gets the characters of the file."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert read(f"a: {written}", schema) == {"a": written}


def test_lists_of_texts_stay_texts_in_every_form_of_a_union() -> None:
    """`[de, 12, no]` as the members of a fan-out are three texts."""
    schema = {"properties": {"a": {"oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "object"}]}}}
    assert read("a: [de, 12, no]", schema) == {"a": ["de", "12", "no"]}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "job.yaml:3:1", "'a' stands twice (also in line 1)"),
        ('{"a": 1, a: 2}', "job.yaml:1:10", "'a' stands twice"),
        ("a: &x 1\n", "job.yaml:1:4", "anchors and aliases"),
        ("a: &x [1]\nb: [*x, *x]\n", "job.yaml:1:4", "anchors and aliases"),
        ("a: &x\n  b: *x\n", "job.yaml:1:4", "anchors and aliases"),
        ('x: !!python/object/apply:os.system ["id"]', "job.yaml:1:4", "python/object/apply:os.system is not used here"),
        ("x: !!binary aGk=", "job.yaml:1:4", "the tag"),
        ("a: 1\nx: !secret y", "job.yaml:2:4", "the tag !secret"),
        ("a:\n\tb: 1", "job.yaml:2:1", "a tab at the start of a line: indent with spaces"),
        ("a:\n\u00a0\u00a0b: 1", "job.yaml:2:1", "no-break space"),
        ("a: 1\nb: \u00a0x", "job.yaml:2:4", "no-break space"),
        ("path: “rows.csv”", "job.yaml:1:7", "“ is not a quotation mark here"),
        ("path: ‘rows.csv’", "job.yaml:1:7", "‘ is not a quotation mark here"),
        ("a: 1\n---\nb: 2\n", "job.yaml:2:1", "a second document (---)"),
        ("? [a, b]\n: 1", "job.yaml:1:3", "a key must be a plain word"),
        ("a: b: c", "job.yaml:1:5", "is not YAML"),
        ('a: 1\nb: "open', "job.yaml:2:", "is not YAML"),
        ("a: @x", "job.yaml:1:4", "is not YAML"),
        ('a: 1\nb: "x\\0y"', "job.yaml:2:4", "NUL"),
        ("a: 1\nb: x\x00y", "job.yaml:2:5", "control character"),
        ("a: 1\nb: \x1b[31m", "job.yaml:2:4", "control character"),
        ("ü: 1\nüü: ä: x", "job.yaml:2:6", "is not YAML"),
    ],
)
def test_traps_are_refused_at_their_place(text: str, place: str, said: str, loader: str) -> None:
    """What YAML would quietly turn into something else is an error with line and column."""
    (problem,) = refusal(text)
    assert problem.startswith(place)
    assert said in problem


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    """Nothing at all is told from something wrong."""
    assert refusal(text) == ["job.yaml: the file is empty"]


@pytest.mark.parametrize(("text", "shown"), [("- a\n- b\n", "'['a', 'b']'"), ("hello", "'hello'"), ("12", "'12'")])
def test_a_root_that_is_no_group_of_keys_is_refused(text: str, shown: str) -> None:
    """A list or a single word is YAML, but not a job."""
    assert refusal(text, job_schema()) == [f"job.yaml:1:1: {shown} is not a group of keys"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_it_is_built(opening: str, loader: str) -> None:
    """A thousand levels would break the stack; the fifty-first is refused."""
    (problem,) = refusal(opening * 1000)
    assert "nested too deeply" in problem
    assert int(problem.split(":")[2]) <= len(opening) * (MAX_DEPTH + 1)


def test_an_alias_bomb_is_refused_at_its_first_anchor(loader: str) -> None:
    """Nine levels of nine aliases would be a billion texts."""
    lines = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    assert refusal("\n".join(lines))[0].startswith("job.yaml:1:5: anchors")


def test_too_many_values_are_refused() -> None:
    """A file of a hundred thousand values is not a job."""
    assert "too large" in refusal("- a\n" * 100_001)[0]


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    """The size is looked at before the content."""
    path = tmp_path / "job.yaml"
    path.write_text("a: " + "x" * MAX_BYTES)
    with pytest.raises(InputError, match=r"job\.yaml: has 1,000,003 bytes; 1,000,000 are allowed"):
        read_document(path, OPEN)


def test_latin_1_is_refused_with_line_and_column(tmp_path: Path) -> None:
    """A file that is not UTF-8 is never guessed at."""
    path = tmp_path / "job.yaml"
    path.write_bytes("ä: 1\n".encode() + "b: ü".encode("latin-1"))
    with pytest.raises(InputError, match=r"job\.yaml:2:4: is not UTF-8 \(byte 10\): save it as UTF-8"):
        read_document(path, OPEN)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_editors_save_is_read(tmp_path: Path, encoding: str) -> None:
    """UTF-8 with and without byte order mark, and UTF-16 with one."""
    path = tmp_path / "job.yaml"
    path.write_text("a: grün\n", encoding=encoding)
    assert read_document(path, OPEN).value == {"a": "grün"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path stands in the message as it was given."""
    with pytest.raises(InputError, match=r"none\.yaml: there is no such file"):
        read_document(tmp_path / "none.yaml", OPEN)
    with pytest.raises(InputError, match="is not a file"):
        read_document(tmp_path, OPEN)


@pytest.mark.parametrize(
    "line",
    [
        "title: {{ name }}",
        "title: {{ First name }}",
        "title: {{ name }} and more",
        "title: [{{ name }}]",
        "title: {{name}}",
        "title: {{ [Firma/Kunde] or 'your team' }}",
        "list:\n  - {{ name }}",
        "title: {{ Company or 'x' }}",
    ],
)
def test_unquoted_braces_need_quotes(line: str, loader: str) -> None:
    """The most common mistake gets its own words, whatever YAML makes of it."""
    said = refusal(f"a: 1\n{line}\nb: 2\n")
    assert any('needs quotes: "{{ … }}"' in problem for problem in said)
    assert said[0].startswith(("job.yaml:2:", "job.yaml:3:"))


def test_braces_inside_a_value_with_a_colon_need_quotes() -> None:
    """`Hi {{ name }}: welcome` is a mapping to YAML."""
    assert "put quotes around values with {{ … }}" in refusal("title: Hi {{ name }}: welcome")[0]


def test_all_faults_are_told_in_the_order_of_the_file() -> None:
    """A person mends a file from top to bottom, once."""
    schema = {
        "additionalProperties": False,
        "properties": {
            "limits": {"additionalProperties": False, "properties": {"budget": {"type": "string"}}},
            "n": {"type": "integer"},
        },
    }
    assert refusal("n: x\nlimits:\n  bugdet: 1\nlimts: 2\n", schema) == [
        "job.yaml:1:1: n: 'x' is not a whole number",
        "job.yaml:3:3: limits: unknown key 'bugdet'; did you mean 'budget'?",
        "job.yaml:4:1: unknown key 'limts'; did you mean 'limits'?",
    ]


def test_places_are_those_of_the_keys() -> None:
    """A message can point at any key, and falls back to the nearest parent that stands in the file."""
    document = parse_document("a:\n  b: [x, y]\n", name="job.yaml", schema=OPEN)
    assert document.where(("a", "b")) == "job.yaml:2:3"
    assert document.where(("a", "b", 1)) == "job.yaml:2:10"
    assert document.where(("a", "c", "d")) == "job.yaml:1:1"
    assert str(document.problem(("a", "b"), "wrong")) == "job.yaml:2:3: a.b: wrong"


def test_a_value_made_in_python_has_no_lines() -> None:
    """Without a file the name alone is the place."""
    document = document_from_value({"a": {"b": 1}}, name="spring", schema=OPEN)
    assert str(document.problem(("a", "b"), "wrong")) == "spring: a.b: wrong"


@pytest.mark.parametrize("value", [{"a": {1, 2}}, {"a": float("nan")}, {"a": b"x"}, {"a": object()}])
def test_a_value_that_no_file_could_hold_is_refused(value: object) -> None:
    """A dictionary made in Python is held to what YAML could say."""
    with pytest.raises(InputError, match="spring: holds what a file could not hold"):
        document_from_value(value, name="spring", schema=OPEN)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text whatever brings anything but a value or a list of problems."""
    try:
        read(text)
    except InputError as error:
        assert all(str(problem).startswith("job.yaml") for problem in error.problems)


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers(-(10**17), 10**17) | st.booleans() | st.none()))
def test_what_yaml_writes_is_read_back(value: dict[str, object]) -> None:
    """Quoting rules of the writer and the reader agree, for any text."""
    fit = "".join(str(each) for pair in value.items() for each in pair).isprintable()
    if fit:
        assert read(yaml.safe_dump(value, default_style='"', allow_unicode=True)) == {
            key: str(each).lower() if isinstance(each, bool) else "null" if each is None else str(each)
            for key, each in value.items()
        }


@pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"no public test files at {HOSTILE}")
@pytest.mark.parametrize("name", sorted(path.name for path in HOSTILE.glob("*")) if HOSTILE.is_dir() else [])
def test_hostile_files_are_refused_as_jobs(name: str) -> None:
    """Each file of the collection is refused with its name, nearly all with line and column, and nothing is run."""
    with pytest.raises(InputError) as caught:
        read_document(HOSTILE / name, job_schema())
    for problem in caught.value.problems:
        assert str(problem).startswith(name if name == "empty.yaml" else f"{name}:")
