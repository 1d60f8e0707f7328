//! What can be set about the door.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

/// Requests a second that one client may send where other machines reach the portal.
const USUAL_RATE: u32 = 200;

/// Who has to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Login {
    /// Nobody on a loopback address, everybody on any other
    Auto,
    /// Everybody
    Always,
}

/// Where accounts are; commands have it too.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct AccountsFile {
    /// The file of accounts, which is made when it is needed
    #[arg(long, env = "PORTAL_ACCOUNTS", default_value = "data/portal/accounts.db", value_name = "FILE")]
    pub accounts: PathBuf,
}

/// How people and programs come in.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Settings {
    /// Who has to log in: nobody on a loopback address and everybody on others, or always everybody
    #[arg(long, env = "PORTAL_LOGIN", default_value = "auto", value_name = "WHEN")]
    pub login: Login,

    /// Where accounts are.
    #[command(flatten)]
    pub accounts: AccountsFile,

    /// Requests a second that one client may send, twice as many at once; 0 is as many as it likes [default: 200
    /// where people log in, 0 elsewhere]
    #[arg(long, env = "PORTAL_CLIENT_RATE", value_name = "REQUESTS")]
    pub client_rate: Option<u32>,

    /// A proxy that is believed when it says who asks (X-Forwarded-For, X-Forwarded-Proto); several parted by commas
    #[arg(long, env = "PORTAL_TRUSTED_PROXY", value_delimiter = ',', value_name = "IP")]
    pub trusted_proxy: Vec<IpAddr>,
}

impl Settings {
    /// How often one client may ask, if that is bounded.
    pub(crate) fn rate(&self, is_guarded: bool) -> Option<NonZeroU32> {
        let usual = if is_guarded { USUAL_RATE } else { 0 };
        NonZeroU32::new(self.client_rate.unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Options {
        #[command(flatten)]
        door: Settings,
    }

    #[test]
    fn a_client_is_bounded_where_people_log_in_unless_it_is_said() {
        let rate = |arguments: &[&str], is_guarded| {
            let options = Options::parse_from([&["test"], arguments].concat());
            options.door.rate(is_guarded).map(NonZeroU32::get)
        };
        assert_eq!((rate(&[], false), rate(&[], true)), (None, Some(200)));
        assert_eq!(rate(&["--client-rate", "0"], true), None);
        assert_eq!(rate(&["--client-rate", "5"], false), Some(5));
    }
}
