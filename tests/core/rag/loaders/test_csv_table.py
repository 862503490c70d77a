"""Which row of a CSV names its columns, and what becomes of the rows above and below it."""

import pytest

from llm_api.core.errors import UnreadableFileError
from llm_api.core.rag.loaders.csv_table import MAX_COLUMNS, load_csv

LIMIT = 50_000_000


@pytest.mark.parametrize(
    ("table", "last"),
    [
        (",a,b\n0,1,2\n", "column 1: 0\na: 1\nb: 2"),
        ("a,\n3,4\n", "a: 3\ncolumn 2: 4"),
        ("Name,Phone,Phone\nAda,1,2\n", "Name: Ada\nPhone: 1\nPhone (2): 2"),
        ("Region,2023,2024\nNorth,5,7\n", "Region: North\n2023: 5\n2024: 7"),
        ("Region,2024\nNorth,5\n", "Region: North\n2024: 5"),
        (",0,1\n0,5,6\n", "column 1: 0\n0: 5\n1: 6"),
        ("#id,name\n1,Ada\n", "id: 1\nname: Ada"),
        ("sep=;\nA;B\n1,5;2\n", "A: 1,5\nB: 2"),
        ("Name;Preis\nBolt;1,50\nNut;2,50\n", "Name: Nut\nPreis: 2,50"),
    ],
)
def test_names_of_columns_are_kept_and_the_others_numbered(table: str, last: str) -> None:
    assert load_csv(table, LIMIT).text.rstrip().split("\n\n")[-1] == last


@pytest.mark.parametrize(
    ("above", "kept"),
    [
        ("Report 2024\n\n", "Report 2024"),
        ("Report 2024,,\n,,\n", "Report 2024"),
        ("# exported 2024, by a tool\n# and more\n", "# exported 2024 by a tool\n# and more"),
        ("Author:,Ada,,\n", "Author: Ada"),
    ],
)
def test_what_stands_above_the_table_is_kept_and_is_no_header(above: str, kept: str) -> None:
    width = above.partition("\n")[0].count(",") + 1
    more = ",Unit" * (width - 3)
    table = f"{above}Name,Qty,Price{more}\nBolt,5,1{',mm' if more else ''}\n"
    paragraphs = load_csv(table, LIMIT).text.split("\n\n")
    assert paragraphs[0] == kept
    assert paragraphs[1].startswith("Name: Bolt\nQty: 5\nPrice: 1")


@pytest.mark.parametrize("table", ["1,2\n3,4\n", "Ada,1815\nAlan,1912\n", "x,1.5\ny,4\n"])
def test_first_row_that_is_data_is_no_header(table: str) -> None:
    found = load_csv(table, LIMIT)
    assert found.metadata["rows"] == 2
    assert found.text.startswith("column 1: ")


def test_nothing_but_a_header_is_still_found() -> None:
    assert load_csv("name,born\n", LIMIT).text == "column 1: name\ncolumn 2: born\n\n"


def test_widest_table_is_read_and_a_wider_one_refused_with_its_width() -> None:
    rows = ["x," * (MAX_COLUMNS - 1) + "y"] * 20
    assert load_csv("\n".join(rows), LIMIT).metadata["rows"] == 19
    with pytest.raises(UnreadableFileError, match="it has 20,000 columns; at most 2,000"):
        load_csv("x," * 19_999 + "y\n1\n", LIMIT)
