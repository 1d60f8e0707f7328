//! A password as somebody types it: it is not shown.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Stdin, Write as _, stderr, stdin};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// What is read of standard input at most.
const MOST: u64 = 4096;

/// The first line of standard input.
pub(super) fn piped() -> anyhow::Result<String> {
    let mut text = String::new();
    stdin().lock().take(MOST).read_line(&mut text).context("could not read the password")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for it twice.
pub(super) fn asked() -> anyhow::Result<String> {
    let input = stdin();
    anyhow::ensure!(input.is_terminal(), "there is no terminal to ask for the password: give --password-stdin");
    let hidden = Hidden::begin(&input).context("could not hide what is typed")?;
    let password = line("Password: ")?;
    let again = line("The same again: ")?;
    drop(hidden);
    anyhow::ensure!(password == again, "the two passwords differ");
    Ok(password)
}

fn line(prompt: &str) -> anyhow::Result<String> {
    write!(stderr(), "{prompt}").context("could not ask for the password")?;
    let mut text = String::new();
    stdin().read_line(&mut text).context("could not read the password")?;
    writeln!(stderr()).context("could not ask for the password")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(terminal: &'a Stdin) -> io::Result<Hidden<'a>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Hidden { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing in any case.
        let _gone = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
