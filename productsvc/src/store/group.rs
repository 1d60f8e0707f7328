//! Some writes in one transaction: each is done or refused by itself.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::error::Error;
use crate::product::Product;
use crate::store::books;
use crate::store::connection::{Connection, Work};
use crate::store::failure::Failure;
use crate::store::requests::{RequestKey, answers, decode, encode, record_all};
use crate::write::{Step, Write};

/// A write of a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) write: Write,
    /// For which it is done once.
    pub(super) key: Option<RequestKey>,
}

/// Writes that are committed together.
pub(super) struct Group<'a> {
    pub(super) members: &'a [&'a Member],
    pub(super) now: Timestamp,
}

impl Work for Group<'_> {
    type Answer = Vec<Result<Vec<Product>, Error>>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Self::Answer, Failure> {
        let mut ledger = books::open(self.now, on).await?;
        let keys: Vec<&RequestKey> = self.members.iter().filter_map(|member| member.key.as_ref()).collect();
        let mut answered = answers(&keys, on).await?;
        let steps: Vec<&Step> = self.members.iter().flat_map(|member| &member.write.steps).collect();
        books::load(&mut ledger, &steps, on).await?;

        let (mut outcomes, mut new) = (Vec::with_capacity(self.members.len()), Vec::new());
        for member in self.members {
            if let Some(outcome) = member.key.as_ref().and_then(|key| repeated(key, &answered)) {
                outcomes.push(outcome);
                continue;
            }
            let outcome = ledger.take(&member.write);
            if let (Some(key), Ok(products), false) = (&member.key, &outcome, member.write.validate_only) {
                let response = encode(products);
                answered.insert(key.id(), (key.fingerprint().to_vec(), response.clone()));
                new.push((key, response));
            }
            outcomes.push(outcome);
        }
        books::close(ledger, self.now, on).await?;
        record_all(&new, self.now, on).await?;
        Ok(outcomes)
    }
}

/// What the same request was answered before, or that it is another one.
fn repeated(key: &RequestKey, answered: &HashMap<Uuid, (Vec<u8>, Vec<u8>)>) -> Option<Result<Vec<Product>, Error>> {
    let (fingerprint, response) = answered.get(&key.id())?;
    Some(if key.is(fingerprint) { decode(response) } else { Err(Error::RequestIdReused) })
}
