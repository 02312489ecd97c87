//! Columns for a terminal: each as wide as its widest cell, and amounts of money with their points below one another.

use std::io::{self, Write};

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// At the left.
    Left,
    /// At the right.
    Right,
    /// At the right, by their decimal points.
    Point,
}

/// A table that is being filled.
pub struct Table {
    columns: Vec<(&'static str, Stand)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one with these heads.
    pub fn new(columns: &[(&'static str, Stand)]) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Writes the heads and the rows, each behind two spaces.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        for (at, (_, stand)) in self.columns.iter().enumerate() {
            if *stand == Stand::Point {
                by_points(&mut self.rows, at);
            }
        }
        let heads: Vec<String> = self
            .columns
            .iter()
            .map(|(head, _)| head.to_string())
            .collect();
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&heads]);
            cells
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        for row in [&heads].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), (_, stand)) in row.iter().zip(&widths).zip(&self.columns) {
                let space = " ".repeat(width - cell.chars().count());
                line += "  ";
                line += &match stand {
                    Stand::Left => format!("{cell}{space}"),
                    Stand::Right | Stand::Point => format!("{space}{cell}"),
                };
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Fills a column's cells up, so that as many characters follow every point.
fn by_points(rows: &mut [Vec<String>], at: usize) {
    let after = |cell: &str| cell.find('.').map_or(0, |point| cell.len() - point);
    let most = rows.iter().map(|row| after(&row[at])).max().unwrap_or(0);
    for row in rows {
        let missing = most - after(&row[at]);
        row[at] += &" ".repeat(missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn amounts_stand_by_their_points_and_words_at_the_left() {
        let mut table = Table::new(&[
            ("call", Stand::Left),
            ("min", Stand::Right),
            ("spent USD", Stand::Point),
            ("ending", Stand::Left),
        ]);
        let cells = |row: [&str; 4]| row.map(str::to_string);
        table.row(cells(["rf-1", "1", "0.0318396", "caller-hung-up"]));
        table.row(cells(["rf-22", "12", "10.50", "refused"]));
        table.row(cells(["rf-3", "", "", ""]));
        let mut out = Vec::new();
        table.write(&mut out).expect("is written");
        expect![[r#"
              call   min   spent USD  ending
              rf-1     1   0.0318396  caller-hung-up
              rf-22   12  10.50       refused
              rf-3
        "#]]
        .assert_eq(&String::from_utf8(out).expect("text"));
    }
}
