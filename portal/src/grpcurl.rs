//! What a page asked, as a command to paste: grpcurl asks the same.

use std::fmt::Write as _;

use mesh::Channel;
use prost::Message;
use prost_reflect::SerializeOptions;

use crate::contract;

/// How grpcurl is told to encrypt nothing.
const PLAIN: &str = " -plaintext";

/// How it is given a certificate: by the settings of all our tools.
const ENCRYPTED: &str = " -cacert \"$RUNDOO_TLS_CA\" -cert \"$RUNDOO_TLS_CERT\" -key \"$RUNDOO_TLS_KEY\"";

/// How grpcurl reaches whoever is reached as by this channel.
pub(crate) fn access(channel: &Channel) -> &'static str {
    if channel.is_secure() { ENCRYPTED } else { PLAIN }
}

/// A method of some service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Method(&'static str);

impl Method {
    /// `GetProduct` of the catalogue becomes `rundoo.products.v1.ProductService/GetProduct`.
    pub(crate) const fn new(path: &'static str) -> Method {
        Method(path)
    }
}

/// A command to paste into a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: String,
}

impl Command {
    /// The same for whoever is reached as by this channel: encrypted where that is.
    pub(crate) fn by(self, channel: &Channel) -> Command {
        Command { line: self.line.replacen(PLAIN, access(channel), 1) }
    }

    /// The command that sends `request` to who answers at `address`.
    pub(crate) fn new(address: &str, method: Method, request: &impl Message) -> Command {
        let json = json(method, request);
        let data = if json == "{}" { String::new() } else { format!(" -d {}", quoted(&json)) };
        Command { line: format!("grpcurl{PLAIN}{data} {address} {}", method.0) }
    }
}

fn json(method: Method, request: &impl Message) -> String {
    let input = contract::request(method.0).unwrap_or_else(|| panic!("there is no method {}", method.0));
    let message = contract::dynamic(input, request);
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    let mut json = Vec::new();
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)
        .expect("a request is always JSON");
    String::from_utf8(json).expect("JSON is UTF-8")
}

/// Quotes a text for a POSIX shell; control characters too, so that pasting runs nothing early.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' => quoted.push_str("'\\''"),
            // Beyond the JSON's own escapes nothing of this kind is left but DEL and C1.
            letter if letter.is_control() => {
                write!(quoted, "\\u{:04x}", u32::from(letter)).expect("a string takes everything");
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use proto::products::{ListProductsRequest, SearchProductsRequest};

    use super::*;

    const SEARCH: Method = Method::new("rundoo.products.v1.ProductService/SearchProducts");

    #[test]
    fn a_request_becomes_a_command_that_a_shell_reads_as_it_is() {
        let request = SearchProductsRequest { query: "3/4\" 'x' $(reboot)\u{7f}".into(), ..Default::default() };
        assert_eq!(
            Command::new("127.0.0.1:5053", SEARCH, &request).line,
            "grpcurl -plaintext -d '{\"query\":\"3/4\\\" '\\''x'\\'' $(reboot)\\u007f\"}' \
             127.0.0.1:5053 rundoo.products.v1.ProductService/SearchProducts"
        );
    }

    #[test]
    fn a_request_that_says_nothing_needs_no_data() {
        let list = Method::new("rundoo.products.v1.ProductService/ListProducts");
        let command = Command::new("[::1]:1", list, &ListProductsRequest::default());
        assert_eq!(command.line, "grpcurl -plaintext [::1]:1 rundoo.products.v1.ProductService/ListProducts");
    }
}
