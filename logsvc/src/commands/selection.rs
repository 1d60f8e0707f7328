//! Which records are wanted, as they are typed and as the contract has them.

use clap::{Args, ValueEnum};
use proto::logs::{FieldMatch, Filter};

/// Which records to show. Everything that is given must be true of a record.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Only of these services
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// At least this level
    #[arg(long, value_enum, value_name = "LEVEL", ignore_case = true)]
    pub level: Option<Level>,

    /// Only of this instance; may be repeated
    #[arg(long = "instance", value_name = "ID")]
    pub instances: Vec<String>,

    /// With this word in message, target or a field, in any case; may be repeated: then with all of them
    #[arg(long = "word", value_name = "WORD")]
    pub words: Vec<String>,

    /// Without this word; may be repeated
    #[arg(long = "not", value_name = "WORD")]
    pub without: Vec<String>,

    /// With exactly this text in the message or a field
    #[arg(long, value_name = "TEXT")]
    pub contains: Option<String>,

    /// With this field; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    pub fields: Vec<(String, String)>,

    /// Said during this trace
    #[arg(long, value_name = "ID")]
    pub trace: Option<String>,

    /// Said during this request
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
}

/// How much a record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Every step
    Trace,
    /// For developers
    Debug,
    /// A change of state
    Info,
    /// Unexpected, handled
    Warn,
    /// Someone must act
    Error,
    /// The process could not go on
    Fatal,
}

impl From<Selection> for Filter {
    fn from(selection: Selection) -> Self {
        let Selection { services, level, instances, words, without, contains, fields, trace, request } = selection;
        Self {
            min_level: level.map(proto::logs::Level::from).unwrap_or_default().into(),
            services,
            instance_ids: instances,
            words,
            without_words: without,
            substring: contains.unwrap_or_default(),
            fields: fields.into_iter().map(|(name, value)| FieldMatch { name, value }).collect(),
            trace_id: trace.unwrap_or_default(),
            request_id: request.unwrap_or_default(),
            ..Default::default()
        }
    }
}

impl From<Level> for proto::logs::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
            Level::Fatal => Self::Fatal,
        }
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}
