//! The `log` crate, but for its macros: the level that is compiled in, which is one for all crates,
//! does not concern these. So a page gets what our own crates have to say, and does not download the
//! texts of all others.
//!
//! The crates of this workspace depend on it by the name `log`.

pub use log_facade::*;

/// Hands a record to the logger. What the macros are made of.
pub fn write(level: Level, target: &'static str, args: std::fmt::Arguments<'_>) {
    let record = Record::builder()
        .level(level)
        .target(target)
        .module_path_static(Some(target))
        .args(args)
        .build();
    logger().log(&record);
}

/// Logs at a level. The arguments are those of `format!`.
#[macro_export]
macro_rules! log {
    ($level:expr, $($arg:tt)+) => {
        if $level <= $crate::max_level() {
            $crate::write($level, ::std::module_path!(), ::std::format_args!($($arg)+));
        }
    };
}

/// Logs an error.
#[macro_export]
macro_rules! error {
    ($($arg:tt)+) => { $crate::log!($crate::Level::Error, $($arg)+) };
}

/// Logs a warning.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)+) => { $crate::log!($crate::Level::Warn, $($arg)+) };
}

/// Logs what is good to know.
#[macro_export]
macro_rules! info {
    ($($arg:tt)+) => { $crate::log!($crate::Level::Info, $($arg)+) };
}

/// Logs what helps to understand.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)+) => { $crate::log!($crate::Level::Debug, $($arg)+) };
}

/// Logs the least that is worth it.
#[macro_export]
macro_rules! trace {
    ($($arg:tt)+) => { $crate::log!($crate::Level::Trace, $($arg)+) };
}
