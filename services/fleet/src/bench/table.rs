//! The figures for a terminal.
use super::{Figures, Report, figures::round};

impl Report {
    /// The header and the rows of a table: a row for each measure's value and one for each ratio.
    #[must_use]
    pub fn table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let mut rows = Vec::new();
        for (measure, entry) in &self.entries {
            let mut row = vec![measure.name().to_owned(), measure.about().to_owned()];
            row.extend(cells(&entry.value));
            row.push(entry.unit.to_owned());
            rows.push(row);
            for (name, ratio) in &entry.ratios {
                let mut row = vec![String::new(), format!("× {name}")];
                row.extend(cells(ratio));
                row.push(String::new());
                rows.push(row);
            }
        }
        (vec!["", "measure", "median", "from", "to", "unit"], rows)
    }
}

fn cells(figures: &Figures) -> [String; 3] {
    let text = |it: Option<f64>| it.map(|it| round(it).to_string()).unwrap_or_default();
    let (low, high) = figures.spread().unzip();
    [text(figures.median()), text(low), text(high)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_was_not_measured_is_empty() {
        assert_eq!(cells(&Figures::default()), ["", "", ""]);
        assert_eq!(cells(&Figures::from_iter([2.0, 1.0, 4.0])), ["2", "1", "4"]);
    }
}
