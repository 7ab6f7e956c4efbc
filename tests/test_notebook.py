"""The verbs in a notebook: a table in, a table out, and nothing printed."""

from __future__ import annotations

import pandas
import pytest

from batcher import notebook
from batcher.errors import Exit, InputError
from batcher.simulator import Running

JOB = {
    "job": "from-a-notebook",
    "operation": "heygen.template",
    "sheet": {"row_id": "id"},
    "request": {"template_id": "tpl_welcome", "variables": {"first_name": "{{ name }}", "company": None, "logo": None}},
    "poll": {"at_most_every": "0.05s", "budget": "1000/second"},
}
FRAME = pandas.DataFrame({"id": [1, 2, 3], "name": ["Anna", "007", None]})


@pytest.mark.usefixtures("signed_in")
def test_a_table_goes_in_and_comes_out_with_links(simulator: Running, capfd: pytest.CaptureFixture[str]) -> None:
    """Rows, states and texts; the row with a missing value is invalid and blocks no other."""
    plan = notebook.check(JOB, FRAME)
    ending = notebook.run(JOB, FRAME)
    results = notebook.results(JOB, FRAME)

    assert (plan.rows, plan.to_send) == (3, 2)
    assert ending.exit is Exit.SOME_FAILED
    assert list(results["id"]) == ["1", "2", "3"]
    assert list(results["name"]) == ["Anna", "007", ""]
    assert list(results["batcher_status"]) == ["done", "done", "invalid"]
    assert all(url.startswith(simulator.url) for url in results["video_url"][:2])
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("signed_in")
def test_submit_and_reconcile_are_the_halves_of_a_run(simulator: Running) -> None:
    """What is sent by one is collected by the other, once."""
    assert notebook.submit(JOB, FRAME).tally.words["in progress"] == 2
    simulator.advance(600)
    assert notebook.reconcile(JOB, FRAME).tally.words["done"] == 2
    assert simulator.report()["creations"] == 2


def test_a_wrong_job_is_raised_not_printed() -> None:
    """With what is wrong, as the command line would say it."""
    with pytest.raises(InputError, match=r"unknown operation 'heygen\.templte'; did you mean 'heygen\.template'"):
        notebook.check({**JOB, "operation": "heygen.templte"}, FRAME, offline=True)
