//! Who may call what: a file of rules, and what no rule allows is refused.
//!
//! A line is a rule, `WHO may call WHAT`, with commas where there are several:
//!
//! ```text
//! # anybody with a certificate may ask whether a process lives
//! *                   may call grpc.health.v1.Health/*
//! portal, operator/*  may call rundoo.products.v1.ProductService/*
//! operator/ada        may call *
//! ```
//!
//! WHO is `*`, a service, `operator/NAME` or `operator/*`; WHAT is `*`, `package.Service/*` or
//! `package.Service/Method`. The order of the lines does not matter; there is no rule that forbids.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::watched::Watched;

/// Between who and what.
const MAY_CALL: &str = " may call ";

/// The rules of a file, as it is now. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Policy(Watched<Rules>);

impl Policy {
    /// Reads the file and follows it. Needs a tokio runtime.
    pub(crate) fn start(file: PathBuf) -> anyhow::Result<Self> {
        let path = file.clone();
        let read = move |_: Option<&Rules>| {
            let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            Rules::parse(&text).map_err(|why| anyhow::anyhow!("{}, {why}", path.display()))
        };
        Watched::start("policy", vec![file], read).map(Self)
    }

    /// Whether `caller`, as `service/instance` or `operator/NAME`, may call the method at this path.
    pub(crate) fn permits(&self, caller: &str, path: &str) -> bool {
        self.0.current().permits(caller, path)
    }
}

/// Rules that were read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    who: Vec<Who>,
    what: Vec<What>,
}

#[derive(Debug, PartialEq, Eq)]
enum Who {
    Anyone,
    Service(String),
    Operators,
    Operator(String),
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Everything,
    /// `package.Service/`, with the slash.
    Methods(String),
    /// `package.Service/Method`.
    Method(String),
}

impl Rules {
    fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim().replace('\t', " ");
            if line.is_empty() {
                continue;
            }
            rules.push(Rule::parse(&line).map_err(|why| format!("line {number}: {why}"))?);
        }
        if rules.is_empty() {
            return Err("line 1: there is no rule, so nobody could call anything".to_owned());
        }
        Ok(Self(rules))
    }

    fn permits(&self, caller: &str, path: &str) -> bool {
        let method = path.strip_prefix('/').unwrap_or(path);
        self.0.iter().any(|rule| rule.who.iter().any(|who| who.is(caller)) && rule.what.iter().any(|it| it.is(method)))
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, String> {
        let (who, what) = line.split_once(MAY_CALL).ok_or("it is not WHO may call WHAT")?;
        let who = who.split(',').map(|word| Who::parse(word.trim())).collect::<Result<_, _>>()?;
        let what = what.split(',').map(|word| What::parse(word.trim())).collect::<Result<_, _>>()?;
        Ok(Self { who, what })
    }
}

impl Who {
    fn parse(word: &str) -> Result<Self, String> {
        let plain = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        };
        match (word, word.strip_prefix("operator/")) {
            ("*", _) => Ok(Self::Anyone),
            (_, Some("*")) => Ok(Self::Operators),
            (_, Some(name)) if plain(name) => Ok(Self::Operator(word.to_owned())),
            (_, None) if plain(word) && word != "operator" => Ok(Self::Service(word.to_owned())),
            _ => Err(format!("{word:?} is nobody: write a service, operator/NAME, operator/* or *")),
        }
    }

    fn is(&self, caller: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Service(service) => caller.split('/').next() == Some(service),
            Self::Operators => caller.starts_with("operator/"),
            Self::Operator(operator) => caller == operator,
        }
    }
}

impl What {
    fn parse(word: &str) -> Result<Self, String> {
        let part = |name: &str| {
            let first = name.bytes().next();
            first.is_some_and(|b| b.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let wrong = || format!("{word:?} is no method: write package.Service/Method, package.Service/* or *");
        if word == "*" {
            return Ok(Self::Everything);
        }
        let (service, method) = word.split_once('/').ok_or_else(wrong)?;
        let is_service = service.contains('.') && service.split('.').all(part);
        match method {
            "*" if is_service => Ok(Self::Methods(format!("{service}/"))),
            method if is_service && part(method) => Ok(Self::Method(word.to_owned())),
            _ => Err(wrong()),
        }
    }

    fn is(&self, method: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Methods(service) => method.starts_with(service.as_str()),
            Self::Method(only) => method == only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "# who may do what\n\
        portal, logsvc may call rundoo.products.v1.ProductService/ListProducts, a.B/*\n\n\
        operator/*\tmay call rundoo.registry.v1.RegistryService/*  # people\n\
        operator/ada may call *\n\
        * may call grpc.health.v1.Health/*\n";

    #[test]
    fn what_a_rule_allows_is_allowed_and_nothing_else() {
        let rules = Rules::parse(SAMPLE).unwrap();

        for (caller, path) in [
            ("portal/1", "/rundoo.products.v1.ProductService/ListProducts"),
            ("logsvc", "/a.B/Anything"),
            ("operator/eve", "/rundoo.registry.v1.RegistryService/Drain"),
            ("operator/ada", "/rundoo.products.v1.ProductService/DeleteProduct"),
            ("unheard-of/7", "/grpc.health.v1.Health/Check"),
        ] {
            assert!(rules.permits(caller, path), "{caller} {path}");
        }
        for (caller, path) in [
            ("portal/1", "/rundoo.products.v1.ProductService/DeleteProduct"),
            ("portal/1", "/rundoo.products.v1.ProductService/ListProductsAndMore"),
            ("portal2/1", "/a.B/Anything"),
            ("operator/eve", "/rundoo.products.v1.ProductService/ListProducts"),
            ("operator", "/rundoo.registry.v1.RegistryService/Drain"),
            ("registry/1", "/a.Bc/Anything"),
        ] {
            assert!(!rules.permits(caller, path), "{caller} {path}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_meant_names_its_line() {
        for (text, words) in [
            ("", "line 1: there is no rule"),
            ("# only words\n", "line 1: there is no rule"),
            ("portal may call *\nportal can call *", "line 2: it is not WHO may call WHAT"),
            ("\n\nPortal may call *", "line 3: \"Portal\" is nobody"),
            ("portal/1 may call *", "line 1: \"portal/1\" is nobody"),
            ("operator may call *", "line 1: \"operator\" is nobody"),
            ("portal, may call *", "line 1: \"\" is nobody"),
            ("portal may call ProductService/List", "is no method"),
            ("portal may call a.B/Li*", "is no method"),
            ("portal may call a.B", "is no method"),
            ("portal may call a..B/C", "is no method"),
            ("portal may call a.B/C,", "is no method"),
        ] {
            let error = Rules::parse(text).unwrap_err();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
