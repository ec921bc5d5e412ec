"""Tables in every form."""

import pytest

from seq2seq.lists import FORMS, Table, latex

TABLE = Table("a title", "<>", [("name", "count"), ("a_b & c|d", "5 %")], ["how: x|y"])


@pytest.mark.parametrize("form", FORMS)
def test_title_cells_and_notes_stand_in_every_form(form: str) -> None:
    above, told = TABLE.text(form).rsplit("\n\n", 1)
    assert above.splitlines()[0] == f"{FORMS[form].title}a title"
    assert told == f"{FORMS[form].note}how: x|y"
    assert Table("", "<>", TABLE.rows).text(form) == FORMS[form].cells("<>", TABLE.rows)


def test_signs_that_mean_something_are_escaped() -> None:
    assert FORMS["markdown"].cells("<>", TABLE.rows).splitlines()[2] == r"| a\_b & c\|d | 5 % |"
    assert latex("<>", TABLE.rows).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"name & count \\",
        r"\midrule",
        r"a\_b \& c|d & 5 \% \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    assert r"\textbackslash{}\textasciitilde{}" in latex("<", [("x",), (r"\~",)])
