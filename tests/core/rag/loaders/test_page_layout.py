"""Columns, tables and running heads of pages that are drawn here."""

import textwrap
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice, pairwise

import pytest

from llm_api.core.rag.loaders.loaded import FileLimits, LoadedText
from llm_api.core.rag.loaders.pdf import load_pdf
from tests.core.rag.loaders.files import drawn_pdf, pdf

TEXT = (
    "the river carries boats of grain toward the coast where merchants wait for them in crowded"
    " harbours while clerks write every sack into long books that nobody reads afterwards and the"
    " city sleeps until the bells of morning call its people out again to the markets and mills"
)
Drawn = Sequence[tuple[str, float, float]]
"""Words, and where they stand."""


def prose(first_word: int, lines: int, width: int) -> list[str]:
    words = islice(cycle(TEXT.split()), first_word, first_word + 20 * lines)
    return textwrap.wrap(" ".join(words), width)[:lines]


def column(lines: Sequence[str], x: float, y: float, step: float = 12) -> Drawn:
    return [(line, x, y - step * place) for place, line in enumerate(lines)]


def rows(table: Iterable[Sequence[str]], xs: Sequence[float], y: float, step: float = 14) -> Drawn:
    return [
        (words, x, y - step * place)
        for place, row in enumerate(table)
        for words, x in zip(row, xs, strict=True)
        if words
    ]


def page(*parts: Drawn, lines: str = "") -> LoadedText:
    """Drawn line by line, from left to right, whatever belongs together."""
    ordered = sorted(
        (item for part in parts for item in part), key=lambda item: (-item[2], item[1])
    )
    text = "".join(f"BT /F1 10 Tf 1 0 0 1 {x} {y} Tm ({words}) Tj ET " for words, x, y in ordered)
    return load_pdf(drawn_pdf(lines + text), FileLimits())


def read(*parts: Drawn, lines: str = "") -> list[str]:
    return page(*parts, lines=lines).text.strip().split("\n")


ACROSS = [
    "A heading that stands across both of the columns of the page, and further",
    "Another heading across both of the columns, which is as wide as they are",
    "1 A note below the columns that says where all of this was found and by whom",
]


def test_three_columns_are_read_one_after_the_other() -> None:
    columns = [prose(first, 10, 28) for first in (0, 7, 19)]
    drawn = [column(lines, x, 700) for lines, x in zip(columns, (50, 225, 400), strict=True)]
    assert read(*drawn) == [line for lines in columns for line in lines]


def test_headings_and_notes_across_the_page_divide_its_columns() -> None:
    above, below = (prose(0, 8, 38), prose(9, 8, 38)), (prose(4, 7, 38), prose(14, 5, 38))
    found = read(
        column(ACROSS[:1], 72, 740),
        *(column(lines, x, 700) for lines, x in zip(above, (72, 320), strict=True)),
        column(ACROSS[1:2], 72, 590),
        *(column(lines, x, 560) for lines, x in zip(below, (72, 320), strict=True)),
        column(ACROSS[2:], 72, 450),
    )
    assert found == [ACROSS[0], *above[0], *above[1], ACROSS[1], *below[0], *below[1], ACROSS[2]]


def test_columns_of_unequal_length_are_read_one_after_the_other() -> None:
    left, right = prose(0, 14, 38), prose(9, 8, 38)
    assert read(column(left, 72, 700), column(right, 320, 700)) == [*left, *right]


def test_sidebar_with_lines_at_heights_of_its_own_is_read_by_itself() -> None:
    text = prose(0, 12, 38)
    aside = ["Dates", "1999, Rome", "2001, Oslo", "2004, Bonn", "2009, Bern", "Died 2010"]
    assert read(column(text, 72, 700), column(aside, 400, 697, step=17)) == [*text, *aside]


PARTS = [
    ("Part", "Qty", "Price", "Note"),
    ("Bolt", "5", "1.20", "steel"),
    ("Nut", "", "0.30", "brass"),
    ("Cog", "12", "7.00", ""),
]


def test_value_stands_in_its_own_column_of_a_table_without_lines() -> None:
    before, after = prose(0, 3, 80), prose(9, 3, 80)
    found = read(
        column(before, 72, 740), rows(PARTS, (72, 172, 272, 372), 680), column(after, 72, 600)
    )
    assert found == [
        *before,
        "Part | Qty | Price | Note",
        "Bolt | 5 | 1.20 | steel",
        "Nut |  | 0.30 | brass",
        "Cog | 12 | 7.00 |",
        *after,
    ]


def test_header_of_a_long_table_is_a_heading_of_its_rows_alone() -> None:
    table = [PARTS[0], *PARTS[1:] * 12]
    found = page(
        column(["Before it"], 72, 760),
        rows(table, (72, 172, 272, 372), 740, step=13),
        column(["After it"], 72, 230),
    )
    header = "Part | Qty | Price | Note"
    assert [section.headings for section in found.sections] == [(), (header,), ()]
    assert found.text[found.sections[1].start :].startswith(header)
    assert found.text[found.sections[2].start :].startswith("After it")


def test_tables_side_by_side_with_rows_of_their_own_are_read_one_after_the_other() -> None:
    left = [("Part", "Qty"), *[(f"Bolt {place}", f"{place}") for place in range(6)]]
    right = [("Name", "Age"), *[(f"Eve {place}", f"{place}") for place in range(5)]]
    found = read(rows(left, (72, 132), 700, 14), rows(right, (372, 432), 695, 17))
    assert found == [" | ".join(row) for row in (*left, *right)]


def test_lines_that_go_on_below_a_row_belong_to_it() -> None:
    found = read(
        rows([("Part", "Description", "Price")], (72, 172, 372), 700),
        rows(
            [("Bolt", "a long steel", "1.20"), ("", "part of the bridge", "")],
            (72, 172, 372),
            680,
            11,
        ),
        rows([("Nut", "small and", "2"), ("", "of brass", "")], (72, 172, 372), 648, 11),
        rows([("Cog", "round", "3")], (72, 172, 372), 616),
    )
    assert found == [
        "Part | Description | Price",
        "Bolt | a long steel part of the bridge | 1.20",
        "Nut | small and of brass | 2",
        "Cog | round | 3",
    ]


@pytest.mark.parametrize("mark", ["-", "1.", "(a)", "ii."])
def test_items_of_a_list_are_no_table(mark: str) -> None:
    items = [(mark, f"item {place} of the list") for place in range(6)]
    assert read(rows(items, (72, 95), 700)) == [" ".join(item) for item in items]


def strokes(*lines: tuple[float, float, float, float]) -> str:
    return "0.5 w " + "".join(f"{a} {b} m {c} {d} l S " for a, b, c, d in lines)


def grid(xs: Sequence[float], ys: Sequence[float]) -> str:
    return strokes(*((x, ys[0], x, ys[-1]) for x in xs), *((xs[0], y, xs[-1], y) for y in ys))


def test_cells_between_lines_hold_all_that_stands_in_them() -> None:
    table = [
        ("Part", "Description", "Price"),
        ("Bolt", "a long steel", "1.20"),
        ("", "part of it", ""),
        ("", "that holds", ""),
        ("Nut", "small", "2"),
    ]
    found = read(
        rows(table, (75, 125, 255), 690, 14),
        lines=grid((72, 122, 252, 312), (704, 686, 644, 628)),
    )
    assert found == [
        "Part | Description | Price",
        "Bolt | a long steel part of it that holds | 1.20",
        "Nut | small | 2",
    ]


def test_cells_are_merged_where_no_line_is_between_them() -> None:
    lines = strokes(
        *((72, y, 312, y) for y in (704, 688, 640)),
        (72, 672, 152, 672),  # not below the merged cell
        (72, 656, 312, 656),
        *((x, 704, x, 640) for x in (72, 312)),
        (152, 704, 152, 656),  # not in the last row
        (232, 688, 232, 656),  # not in the first row
        (152, 672, 232, 672),
    )
    words = [("Part", 75, 692), ("Size and price", 155, 692), ("Bolt", 75, 676), ("5", 155, 676)]
    words += [("1.20", 235, 670), ("Nut", 75, 660), ("7", 155, 660), ("All in stock", 75, 644)]
    assert read(words, lines=lines) == [
        "Part | Size and price |",
        "Bolt | 5 | 1.20",
        "Nut | 7 | 1.20",
        "All in stock",
    ]


@pytest.mark.parametrize(
    "drawing",
    [
        strokes((72, 600, 500, 600), (72, 500, 500, 500)),
        "72 500 400 200 re S ",
        strokes(*((72 + step, 100, 72 + step, 700) for step in range(400))),
        grid([72 + 2 * step for step in range(250)], [100 + 2 * step for step in range(250)]),
        "".join(f"{step % 500} {step % 700} m 300 300 l S " for step in range(3_000)),
    ],
)
def test_drawings_are_no_tables(drawing: str) -> None:
    text = prose(0, 12, 70)
    assert read(column(text, 72, 680), lines=drawing) == text


def test_page_with_all_that_costs_time_is_read_in_time() -> None:
    cells = [(f"c{x}{y}", 20 + 25 * x, 780 - 9 * y) for x in range(23) for y in range(84)]
    lines = grid([19 + 25 * x for x in range(24)], [788 - 9 * y for y in range(85)])
    began = time.thread_time()
    assert read(cells, lines=lines)[0].startswith("c00 | c10 | c20")
    assert len(read(cells)) == 84
    assert time.thread_time() - began < 10


def test_lines_at_the_edge_of_every_page_stand_once_and_sentences_go_on() -> None:
    bodies = [f"{one}\n{other}" for one, other in pairwise(prose(0, 7, 30))]
    pages = [
        f"Report on bolts\n{body}\nPage {number} of 6\n{number}"
        for number, body in enumerate(bodies, 1)
    ]
    kept = ["Report on bolts", bodies[0], "Page 1 of 6", *bodies[1:]]
    assert load_pdf(pdf(pages), FileLimits()).text.split() == " ".join(kept).split()
    assert "\n\n" not in load_pdf(pdf(pages[1:]), FileLimits()).text.strip()


def test_first_lines_that_differ_stay() -> None:
    pages = [f"Part {name}\nwords\nend {name}" for name in ("one", "two", "three", "four")]
    assert load_pdf(pdf(pages), FileLimits()).text == "\n\n".join([*pages, ""])
