"""Records as text."""

from sipflow.cli.call_texts import CSV_COLUMNS, as_object, csv_line, csv_values, details, table
from tests.store.records import BEGUN, OVER, over


def test_a_cell_that_a_spreadsheet_would_compute_is_text() -> None:
    cells = ["=1+1", "@x", "+cmd|'/c calc'!A0", "-2+3", "\t=1", "+12065550100", "-1.5", None, 3, ["a", "b"], {"k": 1}]

    assert csv_line(cells) == (
        "'=1+1,'@x,'+cmd|'/c calc'!A0,'-2+3,'\t=1,+12065550100,-1.5,,3,a; b,\"{\"\"k\"\": 1}\"\r\n"
    )


def test_every_column_has_a_value_in_a_record_with_everything() -> None:
    values = as_object(OVER)

    assert [name for name in CSV_COLUMNS if name not in values] == []
    assert csv_values(values) == [values[name] for name in CSV_COLUMNS]


def test_a_record_with_nothing_has_empty_columns() -> None:
    assert csv_values(as_object(BEGUN))[CSV_COLUMNS.index("mos")] == ""


def test_a_table_is_as_wide_as_it_must_be() -> None:
    lines = table([over(1, from_number="x" * 100), over(2)])

    assert len(lines) == 3
    assert "x" * 23 + "…  +12065550100" in lines[1]
    assert lines[0].index("STATUS") == lines[1].index("completed")


def test_details_leave_out_what_is_not_known() -> None:
    names = [line.split()[0] for line in details(BEGUN)]

    assert names == ["call", "status", "direction", "from", "to", "number", "trunk", "agent", "started", "SIP"]
