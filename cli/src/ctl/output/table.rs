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
    // Columns of numbers are compared by their ends.
    let is_number = |column: usize| rows.iter().all(|row| row[column].parse::<f64>().is_ok());
    let numbers: Vec<bool> = (0..titles.len()).map(is_number).collect();
    let left = vec![false; titles.len()];
    let mut out = String::new();
    rule(&mut out, &widths);
    line(&mut out, &widths, titles.iter().copied(), &left);
    rule(&mut out, &widths);
    for row in rows {
        line(&mut out, &widths, row.iter().map(String::as_str), &numbers);
    }
    if !rows.is_empty() {
        rule(&mut out, &widths);
    }
    out
}

fn line<'a>(
    out: &mut String,
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
    to_the_right: &[bool],
) {
    for (column, cell) in cells.enumerate() {
        let space = " ".repeat(widths[column] - width(cell));
        match to_the_right[column] {
            true => out.extend(["| ", &space, cell, " "]),
            false => out.extend(["| ", cell, &space, " "]),
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
