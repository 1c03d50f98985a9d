//! Columns with titles.

/// Draws a table; each row has as many cells as there are titles.
pub(crate) fn draw(titles: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = titles.iter().map(|title| width(title)).collect();
    for row in rows {
        assert_eq!(row.len(), titles.len(), "a row has a cell for each title");
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(width(cell));
        }
    }
    let mut out = String::new();
    rule(&mut out, &widths);
    line(&mut out, &widths, titles.iter().copied(), |_| Side::Left);
    rule(&mut out, &widths);
    for row in rows {
        // Numbers are compared by their ends.
        let side = |cell: &str| match cell.parse::<f64>() {
            Ok(_) => Side::Right,
            Err(_) => Side::Left,
        };
        line(&mut out, &widths, row.iter().map(String::as_str), side);
    }
    if !rows.is_empty() {
        rule(&mut out, &widths);
    }
    out
}

/// Where a cell keeps its text.
enum Side {
    Left,
    Right,
}

fn line<'a>(
    out: &mut String,
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
    side: impl Fn(&str) -> Side,
) {
    for (cell, column) in cells.zip(widths) {
        let space = " ".repeat(column - width(cell));
        match side(cell) {
            Side::Left => out.extend(["| ", cell, &space, " "]),
            Side::Right => out.extend(["| ", &space, cell, " "]),
        }
    }
    out.push_str("|\n");
}

fn rule(out: &mut String, widths: &[usize]) {
    for column in widths {
        out.push('+');
        out.push_str(&"-".repeat(column + 2));
    }
    out.push_str("+\n");
}

/// How many places a text takes, if each character takes one.
fn width(text: &str) -> usize {
    text.chars().count()
}
