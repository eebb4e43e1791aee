//! Logs of this program and of the nimiq crates, on stderr: as text, or as JSON for machines.

use std::{fmt, io::Write, str::FromStr, sync::OnceLock};

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What is logged: all from a level on, perhaps of just one module and those in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFilter {
    target: Option<String>,
    level: LevelFilter,
}

impl Default for LogFilter {
    /// Nothing but what always comes through.
    fn default() -> Self {
        Self {
            target: None,
            level: LevelFilter::Off,
        }
    }
}

/// It is neither a level nor a module with one.
#[derive(Debug, Error)]
#[error("it takes LEVEL or MODULE=LEVEL")]
pub(super) struct NoLogFilter;

impl FromStr for LogFilter {
    type Err = NoLogFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (target, level) = match text.split_once('=') {
            Some((target, level)) => (Some(target.to_owned()), level),
            None => (None, text),
        };
        let level = level.parse().map_err(|_| NoLogFilter)?;
        Ok(Self { target, level })
    }
}

/// How records look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line, with `time` (RFC 3339, UTC), `level`, `target` and `message`.
    Json,
}

/// It is no format.
#[derive(Debug, Error)]
#[error("it takes text or json")]
pub(super) struct NoLogFormat;

impl FromStr for LogFormat {
    type Err = NoLogFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(NoLogFormat),
        }
    }
}

/// The format that was chosen, once it was.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

#[derive(Serialize)]
struct JsonRecord<'a> {
    time: String,
    level: &'static str,
    target: &'a str,
    message: String,
}

/// Writes to stderr; what this program itself warns of always comes through.
struct StderrLog {
    filter: LogFilter,
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let LogFilter { target, level } = &self.filter;
        let is_meant = target
            .as_ref()
            .is_none_or(|target| metadata.target().starts_with(target));
        (is_meant && metadata.level() <= *level)
            || (metadata.level() <= Level::Warn && metadata.target().starts_with("pico_node"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(record.level(), record.target(), *record.args());
        }
    }

    fn flush(&self) {}
}

/// Logs from now on.
pub(super) fn init(filter: LogFilter, format: LogFormat) {
    let level = filter.level;
    // Like the logger, it is installed once.
    let _ = FORMAT.set(format);
    // It fails only if there is a logger, which only this function installs.
    if log::set_boxed_logger(Box::new(StderrLog { filter })).is_ok() {
        log::set_max_level(level.max(LevelFilter::Warn));
    }
}

/// Says what the process fails of, whatever is logged.
pub(super) fn fail(failure: fmt::Arguments<'_>) {
    match FORMAT.get() {
        Some(LogFormat::Json) => write(Level::Error, "pico_node", failure),
        // On a closed stderr the exit code has to do.
        _ => tell(format_args!("pico-node: {failure}")),
    }
}

fn write(level: Level, target: &str, message: fmt::Arguments<'_>) {
    if FORMAT.get() != Some(&LogFormat::Json) {
        // What peers say may be in it: one record is one line.
        let message = message.to_string().replace(['\n', '\r'], " ");
        return tell(format_args!("{level} {target}: {message}"));
    }
    let record = JsonRecord {
        // It fails only in the year 10000.
        time: OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default(),
        level: match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        },
        target,
        message: message.to_string(),
    };
    if let Ok(line) = serde_json::to_string(&record) {
        tell(format_args!("{line}"));
    }
}

/// Writes a line to stderr. There is nowhere to tell that this failed.
pub(super) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
