//! Columns that are as wide as their widest cell.

/// Lays rows out under a heading. Cells are plain text; `paint` colours one after it is padded.
pub(crate) fn table(
    heading: &[&str],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let last = widths.len().saturating_sub(1);
    let mut line = |cells: Vec<String>| {
        let joined = cells.join("  ");
        text.push_str("  ");
        text.push_str(joined.trim_end());
        text.push('\n');
    };
    let pad = |column: usize, cell: &str| match widths.get(column) {
        Some(width) if column < last => format!("{cell:<width$}"),
        _ => cell.to_owned(),
    };
    line(heading.iter().enumerate().map(|(column, cell)| pad(column, cell)).collect());
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().enumerate();
        line(cells.map(|(column, cell)| paint(number, column, &pad(column, cell))).collect());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_blanks() {
        let rows = vec![vec!["alpha".into(), "on".into()], vec!["b".into(), String::new()]];
        let text = table(&["NODE", "STATE"], &rows, |_, _, cell| cell.to_owned());
        assert_eq!(text, "  NODE   STATE\n  alpha  on\n  b\n");
    }
}
