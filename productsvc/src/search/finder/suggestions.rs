//! Suggestions for a search that found nothing: each of them finds something.

use tokio::time::Instant;

use crate::error::Error;
use crate::search::finder::{End, Finder, Way};
use crate::search::{Query, suggest};
use crate::text::Text;

impl Finder {
    /// What may have been meant: a word that nothing has is exchanged for one that is near it.
    pub(super) async fn suggestions(
        &self,
        query: &Query,
        until: Instant,
        deadline: Instant,
    ) -> Result<Vec<String>, Error> {
        let mut suggestions = Vec::new();
        for (index, word) in query.words().iter().enumerate() {
            if !suggest::may_be_mistyped(word) {
                continue;
            }
            for near in self.near(word, deadline).await? {
                let mut words = query.words().to_vec();
                words[index] = near;
                let text = words.join(" ");
                if !suggestions.contains(&text) && self.finds(query, &text, until, deadline).await? {
                    suggestions.push(text);
                }
                if suggestions.len() == suggest::MOST || Instant::now() >= until {
                    return Ok(suggestions);
                }
            }
        }
        Ok(suggestions)
    }

    async fn near(&self, word: &str, deadline: Instant) -> Result<Vec<String>, Error> {
        let forms: Vec<String> = suggest::forms(word).into_iter().collect();
        let mut known = self.store.words_like(&forms, deadline).await?;
        known.extend(self.tail.read().await.near(word));
        Ok(suggest::nearest(word, known.iter().map(String::as_str)))
    }

    async fn finds(&self, query: &Query, text: &str, until: Instant, deadline: Instant) -> Result<bool, Error> {
        let Ok(text) = Text::parse(text) else { return Ok(false) };
        let query = Query::new(query.field(), &text);
        let (hits, end) = self.walk(&query, until, deadline).await?.run(Way::Forwards, None, 1).await?;
        Ok(!hits.is_empty() && !matches!(end, End::Late(_)))
    }
}
