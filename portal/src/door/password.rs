//! Passwords: which are taken, and how they are kept.
//!
//! argon2id with 19 MiB, two passes and one lane, as OWASP recommends.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash, SaltString},
};

use super::Name;

/// Letters of the shortest password.
const SHORTEST: usize = 12;

/// Bytes of the longest one.
const LONGEST: usize = 1024;

/// What a password is computed in. It can be used again.
pub(super) type Memory = Vec<Block>;

/// Memory in KiB, and passes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Blocks of 1 KiB that are more than glibc ever keeps: its threshold grows to 32 MiB at most.
const ALWAYS_GIVEN_BACK: usize = 33 * 1024;

/// What is computed for a name that nobody has, so that the time tells nothing. No password fits it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Beginnings that everybody tries first.
const COMMON: [&str; 9] =
    ["password", "passwort", "qwerty", "letmein", "administrator", "rundoo", "welcome", "iloveyou", "changeme"];

/// Says why a password is not taken for this account.
pub(crate) fn judge(password: &str, name: &Name) -> Result<(), &'static str> {
    let letters: Vec<char> = password.to_lowercase().chars().collect();
    if letters.len() < SHORTEST {
        return Err("A password has 12 letters at least. A few words in a row are good.");
    }
    if password.len() > LONGEST {
        return Err("A password has 1,024 bytes at most.");
    }
    let mut different = letters.clone();
    different.sort_unstable();
    different.dedup();
    let steps = || letters.windows(2).map(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])));
    if different.len() < 5 || steps().filter(|step| step.abs() == 1).count() * 4 >= letters.len() * 3 {
        return Err("This password repeats itself. Take one that nobody guesses.");
    }
    let small = password.to_lowercase();
    let rest = small.replace(name.as_str(), "");
    if small.contains(name.as_str()) && rest.chars().count() < 8 {
        return Err("This password is little more than the name. Take one that nobody guesses.");
    }
    let rest = COMMON.iter().fold(small, |rest, common| rest.replace(common, ""));
    if rest.chars().filter(|letter| letter.is_alphabetic()).count() < 4 && rest.chars().count() < SHORTEST {
        return Err("This password is among the first that everybody tries. Take another.");
    }
    Ok(())
}

/// Whether a password is the one that is kept; for a name that nobody has it never is, and takes as long.
pub(super) fn fits(kept: Option<&str>, password: &str, memory: &mut Memory) -> bool {
    // What is longer than any password is none, whatever the time tells of that.
    let password = if password.len() > LONGEST { "" } else { password };
    is_of(password, kept.unwrap_or(NOBODYS), memory).unwrap_or(false)
}

/// What is kept of a password.
pub(super) fn hash(password: &str, memory: &mut Memory) -> String {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("the system has random bytes");
    written(password, &salt, memory).expect("argon2 takes any password")
}

/// Whether what is kept is of this password. Outputs compare in constant time.
fn is_of(password: &str, kept: &str, memory: &mut Memory) -> argon2::password_hash::Result<bool> {
    let kept = PasswordHash::new(kept)?;
    let (Some(salt), Some(output)) = (kept.salt, kept.hash) else { return Ok(false) };
    let mut bytes = [0; 64];
    Ok(stretched(password, salt.decode_b64(&mut bytes)?, Params::try_from(&kept)?, memory)? == output)
}

/// What is kept of a password, as a PHC string.
fn written(password: &str, salt: &[u8], memory: &mut Memory) -> argon2::password_hash::Result<String> {
    let params = Params::new(MEMORY, PASSES, 1, None)?;
    let text = SaltString::encode_b64(salt)?;
    let kept = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(text.as_salt()),
        hash: Some(stretched(password, salt, params, memory)?),
    };
    Ok(kept.to_string())
}

fn stretched(
    password: &str,
    salt: &[u8],
    params: Params,
    memory: &mut Memory,
) -> argon2::password_hash::Result<Output> {
    // glibc keeps what is freed for each thread, unless it is this large: then the memory goes back at once.
    // What is not touched of it costs nothing.
    memory.reserve_exact(params.block_count().max(ALWAYS_GIVEN_BACK).saturating_sub(memory.len()));
    memory.resize(params.block_count(), Block::default());
    let mut output = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory)?;
    Output::new(&output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(password: &str) -> bool {
        judge(password, &"ann.smith".parse().unwrap()).is_ok()
    }

    #[test]
    fn passwords_that_everybody_tries_are_not_taken() {
        for silly in [
            "short",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "123456789012",
            "abcdefghijklmnop",
            "ann.smith1234",
            "password1234",
            "PasswordPassword1",
            "qwerty123456",
            "Administrator1",
        ] {
            assert!(!is_taken(silly), "{silly}");
        }
        assert!(!is_taken(&"correct horse".repeat(100)));
        for good in ["correct horse battery", "nails & 17 screws", "ann.smith likes hammers", "ein längerer Satz"] {
            assert!(is_taken(good), "{good}");
        }
    }

    #[test]
    fn only_the_password_itself_fits() {
        let mut memory = Memory::new();
        let kept = hash("correct horse battery", &mut memory);
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");

        let mut fits = |kept, password| fits(kept, password, &mut memory);
        assert!(fits(Some(&kept), "correct horse battery"));
        assert!(!fits(Some(&kept), "correct horse batteri"));
        assert!(PasswordHash::new(NOBODYS).is_ok(), "it is computed like any other");
        assert!(!fits(None, "") && !fits(Some("damaged"), ""));
    }
}
