//! The table of goals and what was measured, for a person or as JSON.
//!
//! What does not belong here: measuring.

/// What a figure must reach.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// For comparison only.
    None,
}

/// One line of the table.
pub(crate) struct Row {
    measurement: &'static str,
    what: String,
    goal: Goal,
    measured: f64,
    unit: &'static str,
    note: String,
}

impl Row {
    pub(crate) fn new(
        measurement: &'static str,
        what: impl Into<String>,
        goal: Goal,
        measured: f64,
        unit: &'static str,
    ) -> Self {
        Self { measurement, what: what.into(), goal, measured, unit, note: String::new() }
    }

    /// Adds what a reader must know beside the number.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the goal is reached; `None` without one. A figure that is no number reaches nothing.
    fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtMost(most) => Some(self.measured <= most),
            Goal::AtLeast(least) => Some(self.measured >= least),
            Goal::None => None,
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::AtMost(most) => format!("<= {}", number(most)),
            Goal::AtLeast(least) => format!(">= {}", number(least)),
            Goal::None => String::new(),
        }
    }

    /// The line of the table.
    pub(crate) fn line(&self) -> String {
        let verdict = match self.reached() {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        };
        let line = format!(
            "{:<8} {:<46} {:>9} {:>10} {:<16} {:<6} {}",
            self.measurement,
            self.what,
            self.goal(),
            number(self.measured),
            self.unit,
            verdict,
            self.note
        );
        line.trim_end().to_owned()
    }

    fn json(&self) -> String {
        let bound = |value: f64| if value.is_finite() { format!("{value}") } else { "null".to_owned() };
        let (most, least) = match self.goal {
            Goal::AtMost(most) => (bound(most), "null".to_owned()),
            Goal::AtLeast(least) => ("null".to_owned(), bound(least)),
            Goal::None => ("null".to_owned(), "null".to_owned()),
        };
        format!(
            "{{\"measurement\":{},\"what\":{},\"at_most\":{most},\"at_least\":{least},\"measured\":{},\"unit\":{},\
             \"reached\":{},\"note\":{}}}",
            quoted(self.measurement),
            quoted(&self.what),
            bound(self.measured),
            quoted(self.unit),
            self.reached().map_or("null", |reached| if reached { "true" } else { "false" }),
            quoted(&self.note)
        )
    }
}

/// The heading over the lines.
pub(crate) fn heading() -> String {
    format!("{:<8} {:<46} {:>9} {:>10} {:<16} {}", "", "what", "goal", "measured", "unit", "reached")
}

/// All rows as one JSON array.
pub(crate) fn json(rows: &[Row]) -> String {
    let rows: Vec<String> = rows.iter().map(Row::json).collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value}")
    } else if value.abs() < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_reached_at_its_bound_and_never_by_no_number() {
        let reached = |goal, measured| Row::new("m", "w", goal, measured, "u").reached();
        assert_eq!(reached(Goal::AtMost(1.7), 1.7), Some(true));
        assert_eq!(reached(Goal::AtLeast(1.0), 0.9), Some(false));
        assert_eq!(reached(Goal::AtMost(1.0), f64::NAN), Some(false));
        assert_eq!(reached(Goal::None, 1.0), None);
    }

    #[test]
    fn json_escapes_what_it_quotes() {
        let row = Row::new("m", "a \"b\"", Goal::None, f64::NAN, "u");
        assert!(row.json().contains("a \\\"b\\\"") && row.json().contains("\"measured\":null"));
    }
}
