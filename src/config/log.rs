//! Reads `[log]`: the format, the level, which requests are logged, and how their clients are shown.

use super::table::Table;
use super::{AccessLog, IdentityForm, Log, LogFormat, LogLevel};

pub(super) fn read_log(table: Table<'_>) -> Log {
    let default = Log::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug]
        .map(|level| (level.as_str(), level));
    let identities = [("name", IdentityForm::Name), ("hash", IdentityForm::Hash), ("off", IdentityForm::Off)];
    let audit = ("audit", AccessLog::Audit);
    let log = Log {
        format: table.word("format", &formats).unwrap_or(default.format),
        level: table.word("level", &levels).unwrap_or(default.level),
        access: table.switch("access", (AccessLog::Off, AccessLog::All), audit).unwrap_or(default.access),
        identity: table.word("identity", &identities).unwrap_or(default.identity),
    };
    table.finish();
    log
}
