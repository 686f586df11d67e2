//! Tables of the reports.

/// Returns a table with its first column on the left and the others, which hold figures, on the right.
pub(crate) fn table(columns: &[impl AsRef<str>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let figures = "---:|".repeat(columns.len().saturating_sub(1));
    let mut text = format!("{}|---|{figures}\n", row(columns));
    text.extend(rows.into_iter().map(|cells| row(&cells)));
    text
}

fn row(cells: &[impl AsRef<str>]) -> String {
    let mut text = "|".to_owned();
    for cell in cells {
        text.push(' ');
        text.push_str(cell.as_ref());
        // An empty cell is one space wide.
        text.push_str(if cell.as_ref().is_empty() { "|" } else { " |" });
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn figures_are_on_the_right() {
        let rows = [["nginx", "1"].map(str::to_owned).to_vec(), ["HAProxy", "2"].map(str::to_owned).to_vec()];
        assert_eq!(table(&["", "ms"], rows), "| | ms |\n|---|---:|\n| nginx | 1 |\n| HAProxy | 2 |\n");
    }
}
