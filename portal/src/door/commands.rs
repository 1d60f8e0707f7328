//! Commands that look after accounts and tokens: they open the file themselves.
//!
//! They work while the portal runs, which counts within a second what they changed.

mod typed;

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;

use super::{
    Name, Role,
    accounts::{Accounts, now},
    deeds,
    scope::{Scope, Scopes},
    settings::AccountsFile,
    store::{Store, Token},
};

/// What the portal's program can do beside serving.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Who may log in
    #[command(subcommand)]
    User(UserCommand),
    /// What programs may do with an account
    #[command(subcommand)]
    Token(TokenCommand),
}

/// What can be done about accounts.
#[derive(Debug, clap::Subcommand)]
pub enum UserCommand {
    /// Add an account; the password is asked for
    Add {
        /// 1 to 64 of a-z, 0-9 and . _ - @
        name: String,
        /// What it may do
        #[arg(long, value_parser = ["viewer", "editor", "administrator"])]
        role: String,
        #[command(flatten)]
        password: PasswordFrom,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// List all accounts
    List {
        #[command(flatten)]
        file: AccountsFile,
    },
    /// Remove an account, with its sessions and tokens
    Remove {
        /// The account
        name: String,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// Give an account another role
    Role {
        /// The account
        name: String,
        /// What it may do
        #[arg(value_parser = ["viewer", "editor", "administrator"])]
        role: String,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// Give an account another password, which ends its sessions
    Password {
        /// The account
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// List the sessions of an account, or of all
    Sessions {
        /// The account; all of them when it is left out
        name: Option<String>,
        /// End them
        #[arg(long, requires = "name")]
        revoke: bool,
        #[command(flatten)]
        file: AccountsFile,
    },
}

/// What can be done about API tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token of an account, and show it this once
    Add {
        /// The account
        name: String,
        /// What it is for: products:read, products:write, logs:read or admin; may be given several times
        #[arg(long, required = true, value_parser = ["products:read", "products:write", "logs:read", "admin"])]
        scope: Vec<String>,
        /// How long it counts
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=366))]
        days: i64,
        /// What uses it
        #[arg(long, default_value = "made by a command")]
        label: String,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// List the tokens of an account, or of all
    List {
        /// The account; all of them when it is left out
        name: Option<String>,
        #[command(flatten)]
        file: AccountsFile,
    },
    /// Revoke a token
    Remove {
        /// Its number in the list
        id: i64,
        #[command(flatten)]
        file: AccountsFile,
    },
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub struct PasswordFrom {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordFrom {
    fn read(self) -> anyhow::Result<String> {
        if self.password_stdin { typed::piped() } else { typed::asked() }
    }
}

impl Command {
    /// Does it.
    pub fn run(self) -> ExitCode {
        mesh::client(&mesh::RegistryAddress::plain(Vec::new()), async |_mesh| {
            match self {
                Command::User(command) => command.perform().await?,
                Command::Token(command) => command.perform().await?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl UserCommand {
    async fn perform(self) -> anyhow::Result<()> {
        match self {
            UserCommand::Add { name, role, password, file } => {
                let (accounts, name, role) = (open(&file).await?, read(&name)?, read_role(&role)?);
                accounts.add(&name, role, password.read()?).await?;
                note(&accounts, &format!("added account {name} as {role}")).await?;
                print(&format!("added {name}, {role}"));
            }
            UserCommand::List { file } => {
                for account in open(&file).await?.store.accounts().await? {
                    print(&format!("{}\t{}\tsince {}", account.name, account.role, time(account.created)));
                }
            }
            UserCommand::Remove { name, file } => {
                let (accounts, name) = (open(&file).await?, read(&name)?);
                accounts.store.remove(&name).await?;
                note(&accounts, &format!("removed account {name}")).await?;
                print(&format!("removed {name}"));
            }
            UserCommand::Role { name, role, file } => {
                let (accounts, name, role) = (open(&file).await?, read(&name)?, read_role(&role)?);
                accounts.store.set_role(&name, role).await?;
                note(&accounts, &format!("made account {name} a {role}")).await?;
                print(&format!("{name} is now {role}"));
            }
            UserCommand::Password { name, password, file } => {
                let (accounts, name) = (open(&file).await?, read(&name)?);
                accounts.set_password(&name, password.read()?).await?;
                note(&accounts, &format!("gave account {name} another password")).await?;
                print(&format!("{name} has another password; all sessions ended"));
            }
            UserCommand::Sessions { name, revoke, file } => sessions(&file, name.as_deref(), revoke).await?,
        }
        Ok(())
    }
}

impl TokenCommand {
    async fn perform(self) -> anyhow::Result<()> {
        match self {
            TokenCommand::Add { name, scope, days, label, file } => {
                let (accounts, name) = (open(&file).await?, read(&name)?);
                let scopes = scope.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<_, _>>();
                let scopes = scopes.map_err(anyhow::Error::msg)?;
                let scopes = Scopes::new(scopes).context("a token is for something at least")?;
                let (id, secret) = accounts.add_token(&name, (&label, scopes), days).await?;
                note(&accounts, &format!("made token {id} of account {name}")).await?;
                print(&secret.token());
            }
            TokenCommand::List { name, file } => {
                let (accounts, name) = (open(&file).await?, name.as_deref().map(read).transpose()?);
                accounts.store.tokens(name.as_ref()).await?.iter().for_each(|token| print(&line(token)));
            }
            TokenCommand::Remove { id, file } => {
                let accounts = open(&file).await?;
                accounts.store.revoke(id, None).await?;
                note(&accounts, &format!("revoked token {id}")).await?;
                print(&format!("revoked token {id}"));
            }
        }
        Ok(())
    }
}

async fn sessions(file: &AccountsFile, name: Option<&str>, revoke: bool) -> anyhow::Result<()> {
    let (accounts, name) = (open(file).await?, name.map(read).transpose()?);
    if let (Some(name), true) = (&name, revoke) {
        let ended = accounts.store.end_all(name, None).await?;
        note(&accounts, &format!("ended all sessions of account {name}")).await?;
        print(&format!("ended {ended} sessions of {name}"));
        return Ok(());
    }
    for session in accounts.store.sessions(name.as_ref()).await? {
        let (name, seen) = (&session.account.name, time(session.seen));
        print(&format!("{name}\tseen {seen}\tfrom {}\t{}", session.address, session.agent));
    }
    Ok(())
}

async fn open(file: &AccountsFile) -> anyhow::Result<Accounts> {
    let path = &file.accounts;
    let store = Store::open(path).await.with_context(|| format!("could not use the accounts in {}", path.display()))?;
    Ok(Accounts::new(store))
}

async fn note(accounts: &Accounts, what: &str) -> anyhow::Result<()> {
    deeds::note(&accounts.store, what).await.context("it is done, but could not be noted for the audit")
}

fn line(token: &Token) -> String {
    let state = match token {
        token if token.revoked => "revoked".to_owned(),
        token if token.expires <= now() => "expired".to_owned(),
        token => format!("until {}", time(token.expires)),
    };
    format!("{}\t{}\t{}\t{}\t{state}", token.id, token.account.name, token.scopes, token.label)
}

fn read(name: &str) -> anyhow::Result<Name> {
    name.parse().map_err(anyhow::Error::msg)
}

fn read_role(role: &str) -> anyhow::Result<Role> {
    role.parse().map_err(anyhow::Error::msg)
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

fn print(text: &str) {
    let _gone = writeln!(std::io::stdout(), "{text}");
}
