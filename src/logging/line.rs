//! A line before it is stamped, in one of the two formats.

use slog::Level;

use crate::time::Timestamp;

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `LEVEL:INSTANT:SERVICE:MESSAGE req=ID us=MICROSECONDS`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// The assignment's names of the levels, which are those of Python's logging.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "CRITICAL",
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

/// A line without its end, and without its stamp.
pub enum Line {
    /// The assignment's: its level, and what follows the instant.
    Text { level: Level, rest: String },
    /// The members of a JSON object that follow the instant, with the closing brace.
    Json { rest: String },
    /// Written as it is, without a stamp.
    Whole(String),
}

impl Line {
    /// A line about the log itself.
    pub fn of_the_log(format: Format, level: Level, message: &str) -> Self {
        match format {
            Format::Text => Self::Text { level, rest: format!("log:{message}") },
            Format::Json => {
                let (level, message) = (level_name(level), serde_json::Value::from(message));
                Self::Json { rest: format!("\"level\":\"{level}\",\"service\":\"log\",\"msg\":{message}}}") }
            }
        }
    }

    /// Appends the line with its stamp and its end. The assignment's instant has milliseconds; the microseconds follow at the
    /// end, so that lines of the same millisecond have an order too.
    pub fn push_to(&self, text: &mut String, at: Timestamp) {
        match self {
            Self::Text { level, rest } => {
                at.in_two(|millis, micros| {
                    for part in [level_name(*level), ":", millis, "Z:", rest, " us=", micros] {
                        text.push_str(part);
                    }
                });
            }
            Self::Json { rest } => {
                text.push_str("{\"timestamp_utc\":\"");
                at.micros().give(|at| text.push_str(at));
                text.push_str("\",");
                text.push_str(rest);
            }
            Self::Whole(line) => text.push_str(line),
        }
        text.push('\n');
    }
}

/// A line about the log itself, with its stamp and its end.
pub fn note(format: Format, level: Level, at: Timestamp, message: &str) -> String {
    let mut text = String::new();
    Line::of_the_log(format, level, message).push_to(&mut text, at);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_has_milliseconds_and_the_microseconds_stand_at_the_end() {
        let at = Timestamp::parse_rfc3339("2025-10-26T18:00:04.500042Z").unwrap();
        let said = |format| note(format, Level::Warning, at, "3 linhas \"perdidas\"");
        assert_eq!(said(Format::Text), "WARNING:2025-10-26T18:00:04.500Z:log:3 linhas \"perdidas\" us=042\n");
        let json: serde_json::Value = serde_json::from_str(&said(Format::Json)).unwrap();
        assert_eq!(json["timestamp_utc"], "2025-10-26T18:00:04.500042Z");
        assert_eq!((&json["level"], &json["msg"]), (&"WARNING".into(), &"3 linhas \"perdidas\"".into()));
    }
}
