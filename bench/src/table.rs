//! Tables, for a terminal and for a document.

/// A table. The first column is text, the others are numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Table {
        Table {
            head: head.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.head.len(), "every column has a cell");
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Aligned columns.
    pub(crate) fn text(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| {
            lines()
                .map(|line| line[at].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = String::new();
        for line in lines() {
            let mut shown = String::new();
            for (at, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                match at {
                    0 => shown.push_str(&format!("{cell:<width$}")),
                    _ => shown.push_str(&format!("  {cell:>width$}")),
                }
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text
    }

    /// Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|", self.head.join(" | "));
        text.push_str(&"---:|".repeat(self.head.len() - 1));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        text
    }
}

/// A whole number with commas between the thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["load", "a second"]);
        table.add(vec!["put".to_owned(), "5".to_owned()]);
        table.add(vec!["a µ get".to_owned(), "12,345".to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        let expected = "load     a second\nput             5\na µ get    12,345\n";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn markdown_aligns_numbers_to_the_right() {
        let expected = "| load | a second |\n|---|---:|\n| put | 5 |\n| a µ get | 12,345 |\n";
        assert_eq!(table().markdown(), expected);
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(999.6), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(123_456.0), "123,456");
    }
}
