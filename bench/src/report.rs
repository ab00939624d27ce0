//! Figures of one run, with the marks that they are held against: as lines, as JSON, or as a table in Markdown.

use serde_json::{Map, Value};

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line a figure.
    Lines,
    /// One object: each figure under its name, and under `marks` what it is held against.
    Json,
    /// A table.
    Markdown,
}

/// Figures in the order in which they are read.
#[derive(Clone, Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    name: String,
    value: f64,
    mark: Option<Mark>,
}

/// What a figure should be, and whether it is.
#[derive(Clone, Debug)]
struct Mark {
    text: String,
    holds: bool,
}

impl Report {
    /// Adds a figure. Its unit is the end of its name.
    pub fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.rows.push(Row { name: name.into(), value, mark: None });
    }

    /// Adds a figure that should be at most `bound`; `text` says what that is, e.g. `verify + 40`.
    pub fn at_most(&mut self, name: impl Into<String>, value: f64, bound: f64, text: &str) {
        self.marked(name.into(), value, format!("<= {text}"), value <= bound);
    }

    /// Adds a figure that should be at least `bound`.
    pub fn at_least(&mut self, name: impl Into<String>, value: f64, bound: f64, text: &str) {
        self.marked(name.into(), value, format!(">= {text}"), value >= bound);
    }

    fn marked(&mut self, name: String, value: f64, text: String, holds: bool) {
        self.rows.push(Row { name, value, mark: Some(Mark { text, holds }) });
    }

    /// The report as text, without a last line feed.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Lines => self.lines(),
            Format::Json => self.json().to_string(),
            Format::Markdown => self.markdown(),
        }
    }

    fn lines(&self) -> String {
        let line = |row: &Row| {
            let mark = row.mark.as_ref().map(|mark| format!("   {}: {}", mark.text, word(mark))).unwrap_or_default();
            format!("{:44} {:>14}{mark}", row.name, round(row.value))
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn json(&self) -> Value {
        let mut object: Map<String, Value> = self.rows.iter().map(|row| (row.name.clone(), round(row.value).into())).collect();
        let mark = |mark: &Mark| serde_json::json!({ "mark": mark.text, "holds": mark.holds });
        let marks = self.rows.iter().filter_map(|row| Some((row.name.clone(), mark(row.mark.as_ref()?))));
        object.insert("marks".to_owned(), Value::Object(marks.collect()));
        Value::Object(object)
    }

    fn markdown(&self) -> String {
        let mut text = "| figure | value | mark | |\n|---|---:|---|---|".to_owned();
        for row in &self.rows {
            let (mark, holds) = row.mark.as_ref().map_or((String::new(), ""), |mark| (mark.text.clone(), word(mark)));
            text += &format!("\n| {} | {} | {mark} | {holds} |", row.name, round(row.value));
        }
        text
    }
}

fn word(mark: &Mark) -> &'static str {
    if mark.holds { "held" } else { "missed" }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_the_same_in_every_format() {
        let mut report = Report::default();
        report.figure("verify_us", 38.504);
        report.at_most("server_cpu_us_per_message", 80.0, 78.5, "verify + 40");
        report.at_least("messages_per_fsync", 20.0, 20.0, "20");
        let json: Value = serde_json::from_str(&report.render(Format::Json)).unwrap_or_default();
        assert_eq!((json["verify_us"].as_f64(), json["messages_per_fsync"].as_f64()), (Some(38.5), Some(20.0)));
        assert_eq!(json["marks"]["server_cpu_us_per_message"]["holds"], false);
        assert_eq!(json["marks"]["messages_per_fsync"], serde_json::json!({ "mark": ">= 20", "holds": true }));
        let table = report.render(Format::Markdown);
        assert!(table.contains("| server_cpu_us_per_message | 80 | <= verify + 40 | missed |"), "{table}");
        assert!(report.render(Format::Lines).contains("<= verify + 40: missed"));
    }
}
