//! What is logged, changed while the process runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::task::Tasks;

/// Why levels were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LevelsError {
    /// What was asked for is not understood.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The log is not there any more.
    #[error("the log is gone")]
    Gone,
}

/// Puts levels into force; false when there is nothing left to put them into.
pub(crate) type Apply = Box<dyn Fn(&Targets) -> bool + Send + Sync>;

/// The levels of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Levels(Arc<Parts>);

struct Parts {
    first: Targets,
    apply: Apply,
    now: Mutex<Now>,
}

struct Now {
    levels: Targets,
    /// Sets the first ones again after a while; replaced, and so ended, by the next change.
    reset: Option<Tasks>,
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.now.lock().unwrap_or_else(PoisonError::into_inner).levels)
    }
}

impl Levels {
    pub(crate) fn new(first: Targets, apply: Apply) -> Self {
        let now = Mutex::new(Now { levels: first.clone(), reset: None });
        Self(Arc::new(Parts { first, apply, now }))
    }

    /// Sets levels, for a while or until the next change; empty ones are those of the start.
    /// Answers the new ones and those before.
    pub(crate) fn set(&self, levels: &str, duration: Option<Duration>) -> Result<(String, String), LevelsError> {
        let levels = match levels.trim() {
            "" => self.0.first.clone(),
            text => self.read(text).ok_or_else(|| {
                LevelsError::Unreadable(
                    "must be a level, or levels by target as in info,productsvc=debug, of 1,024 bytes at most"
                        .to_owned(),
                )
            })?,
        };
        let mut now = self.0.now.lock().unwrap_or_else(PoisonError::into_inner);
        if !(self.0.apply)(&levels) {
            return Err(LevelsError::Gone);
        }
        let before = std::mem::replace(&mut now.levels, levels);
        now.reset = duration.map(|duration| self.reset_after(duration));
        Ok((shown(&now.levels), shown(&before)))
    }

    /// Reads levels. When none is given for the rest, that keeps the one of the start.
    fn read(&self, text: &str) -> Option<Targets> {
        let levels = read(text)?;
        let has_default = text.split(',').any(|part| !part.contains('='));
        let default = self.0.first.default_level().unwrap_or(LevelFilter::INFO);
        Some(if has_default { levels } else { levels.with_default(default) })
    }

    fn reset_after(&self, duration: Duration) -> Tasks {
        let (tasks, parts) = (Tasks::new(), Arc::downgrade(&self.0));
        tasks.spawn("log levels", async move {
            tokio::time::sleep(duration).await;
            let Some(parts) = parts.upgrade() else { return };
            if (parts.apply)(&parts.first) {
                parts.now.lock().unwrap_or_else(PoisonError::into_inner).levels = parts.first.clone();
                tracing::info!("the log levels are {} again", shown(&parts.first));
            }
        });
        tasks
    }
}

/// Whether levels are written as they have to be: `info`, or by target as in `info,productsvc=debug`.
pub fn are_levels(text: &str) -> bool {
    read(text).is_some()
}

/// Reads levels. A bare word has to be a level: as a target, which it could be too, it would silence all others.
fn read(text: &str) -> Option<Targets> {
    if text.len() > LONGEST {
        return None;
    }
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let is_readable = |part: &str| match part.trim().split_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part.trim()),
    };
    text.split(',').all(is_readable).then(|| text.parse().ok())?
}

/// More is no wish of a person; reading tens of thousands of targets would take seconds.
const LONGEST: usize = 1024;

/// Levels as they are written on the command line.
fn shown(levels: &Targets) -> String {
    let default = levels.default_level().unwrap_or(LevelFilter::OFF).to_string();
    let mut shown: Vec<String> = levels.iter().map(|(target, level)| format!("{target}={level}")).collect();
    shown.sort();
    [default].into_iter().chain(shown).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> (Levels, Arc<Mutex<String>>) {
        let applied = Arc::new(Mutex::new(String::new()));
        let seen = applied.clone();
        let apply: Apply = Box::new(move |levels| {
            *seen.lock().unwrap() = shown(levels);
            true
        });
        (Levels::new("info".parse().unwrap(), apply), applied)
    }

    #[tokio::test(start_paused = true)]
    async fn levels_for_a_while_end_by_themselves() {
        let (levels, applied) = levels();

        let (now, before) = levels.set("warn,mesh=debug", Some(Duration::from_secs(60))).unwrap();
        assert_eq!((now.as_str(), before.as_str()), ("warn,mesh=debug", "info"));
        assert_eq!(*applied.lock().unwrap(), "warn,mesh=debug");
        tokio::time::sleep(Duration::from_secs(61)).await;

        assert_eq!(*applied.lock().unwrap(), "info");
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_change_outlives_the_end_of_an_earlier_one() {
        let (levels, applied) = levels();
        levels.set("trace", Some(Duration::from_secs(60))).unwrap();

        levels.set("error", None).unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;

        assert_eq!(*applied.lock().unwrap(), "error");
        assert_eq!(levels.set("", None).unwrap(), ("info".to_owned(), "error".to_owned()));
    }

    #[test]
    fn a_target_alone_silences_nobody() {
        let (levels, _) = levels();

        assert_eq!(levels.set("mesh=debug", None).unwrap().0, "info,mesh=debug");
    }

    #[test]
    fn nonsense_changes_nothing() {
        let (levels, applied) = levels();

        for nonsense in ["loud", "info,loud", "mesh=loud", "mesh=", "=info", ",", &"a=info,".repeat(10_000)] {
            assert!(matches!(levels.set(nonsense, None), Err(LevelsError::Unreadable(_))), "{nonsense}");
        }
        assert_eq!(*applied.lock().unwrap(), "");
    }
}
