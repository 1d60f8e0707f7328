//! `registry ca`: a private authority, and certificates of it, in words about what to do with them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::authority::{Authority, Existing, Order, Validity};

/// What to do with an authority.
#[derive(Debug, Subcommand)]
pub enum Ca {
    /// Make a private authority: a key that stays here, and a certificate that everybody is given
    Init(Init),
    /// Make a certificate for a service, or for a person as operator/NAME
    Issue(Issue),
}

/// Where the authority is to be.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The folder of the authority
    #[arg(long, default_value = "data/ca", value_name = "FOLDER")]
    pub dir: PathBuf,

    /// Replace the authority that is there: nobody believes its certificates any more
    #[arg(long)]
    pub force: bool,
}

/// For whom.
#[derive(Debug, clap::Args)]
pub struct Issue {
    /// A service such as portal, or operator/NAME
    pub name: String,

    /// A host name or an address that tools find it at, beside those of this machine; may be repeated
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,

    /// For how long it holds
    #[arg(long, default_value_t = 90, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=825))]
    pub days: u16,

    /// The folder of the authority
    #[arg(long, default_value = "data/ca", value_name = "FOLDER")]
    pub dir: PathBuf,

    /// Replace the certificate that is there; who runs with it takes up the new one
    #[arg(long)]
    pub force: bool,
}

impl Ca {
    /// Does it.
    pub(super) fn run(&self) -> ExitCode {
        match self.perform() {
            Ok(said) => {
                say(&said);
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::FAILURE
            }
        }
    }

    fn perform(&self) -> anyhow::Result<String> {
        match self {
            Self::Init(init) => {
                let authority = Authority::init(&init.dir, existing(init.force))?;
                let (cert, key) = (authority.certificate(), init.dir.join("ca-key.pem"));
                Ok(format!(
                    "made an authority for ten years\n  {}  give it to every service, as --tls-ca\n  \
                     {}  keep it here, and safe: whoever has it can be anybody\n\
                     next: registry ca issue NAME{}",
                    cert.display(),
                    key.display(),
                    elsewhere(&init.dir)
                ))
            }
            Self::Issue(issue) => {
                let authority = Authority::open(&issue.dir)?;
                let validity = Validity::days(i64::from(issue.days));
                let order = Order { name: issue.name.clone(), hosts: issue.host.clone(), validity };
                let issued = authority.issue(&order, existing(issue.force))?;
                Ok(format!(
                    "made a certificate for {} that holds until {}\n\
                     RUNDOO_TLS_CERT={}\nRUNDOO_TLS_KEY={}\nRUNDOO_TLS_CA={}",
                    issue.name,
                    order.validity.until.strftime("%Y-%m-%d"),
                    issued.cert.display(),
                    issued.key.display(),
                    authority.certificate().display()
                ))
            }
        }
    }
}

fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

/// What another folder than the usual one adds to a command.
fn elsewhere(folder: &Path) -> String {
    if folder == Path::new("data/ca") { String::new() } else { format!(" --dir {}", folder.display()) }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is how a command line tool says why it failed")]
fn complain(text: &str) {
    eprintln!("{text}");
}
