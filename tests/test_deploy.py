"""The examples for compose and Kubernetes are whole: no linter has a word to say, and what they call exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from batcher.cli.commands import batcher

DEPLOY = Path(__file__).parents[1] / "deploy"
_RULES = (
    "{extends: default, rules: {document-start: disable, line-length: {max: 120}, braces: {max-spaces-inside: 0},"
    " comments: {min-spaces-from-content: 1}}}"
)


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_please_a_linter(path: Path) -> None:
    """Keys that stand twice and lines that are indented wrongly are found before anybody deploys them."""
    linter = pytest.importorskip("yamllint.linter")
    config = pytest.importorskip("yamllint.config")
    assert [str(each) for each in linter.run(path.read_text(encoding="utf-8"), config.YamlLintConfig(_RULES))] == []


def commands() -> list[list[str]]:
    """What the examples start, as words."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    found = [list(map(str, compose["services"]["worker"]["command"]))]
    for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")):
        found += [list(map(str, each["args"])) for each in _containers(document)]
    return found


def _containers(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [each for part in value for each in _containers(part)]
    if not isinstance(value, dict):
        return []
    return [*value.get("containers", []), *(each for part in value.values() for each in _containers(part))]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_what_the_examples_start_exists(words: list[str]) -> None:
    """With its options."""
    import click

    program, name, *arguments = words
    assert program == "batcher"
    with click.Context(batcher) as context:
        command = batcher.get_command(context, name)
    assert command is not None
    command.make_context(name, arguments)


def test_every_label_that_is_selected_is_given() -> None:
    """A selector that selects nothing is the commonest fault in such files."""
    for document in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")):
        if "selector" in document["spec"]:
            wanted = document["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= document["spec"]["template"]["metadata"]["labels"].items()
