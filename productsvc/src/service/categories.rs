//! The calls about categories: their list, and a rename as it is told.

use proto::products::{ListCategoriesRequest, ListCategoriesResponse, RenameCategoryRequest, RenameCategoryResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{info, warn};

use crate::error::Error;
use crate::rename::{Preview, Rename};
use crate::service::{PATIENCE, answers, requests};
use crate::store::{Begun, Below, ProductStore, RequestKey};
use crate::version::Author;

/// Messages of a rename that wait for a slow reader: then the next piece waits, too.
const AHEAD: usize = 16;

/// A page of categories.
pub(super) async fn list(
    store: &ProductStore,
    request: &ListCategoriesRequest,
    deadline: Instant,
) -> Result<ListCategoriesResponse, Error> {
    let (parent, size, after) = requests::categories(request)?;
    let below = if request.recursive { Below::Anywhere(&parent) } else { Below::Directly(&parent) };
    let mut categories = store.categories(&below, &after, size + 1, deadline).await?;
    let more = categories.len() > size;
    categories.truncate(size);
    let last = categories.last().filter(|_| more).map(|(key, _)| key.as_str());
    Ok(ListCategoriesResponse {
        next_page_token: last.map(|key| requests::categories_token(request, &parent, key)).unwrap_or_default(),
        categories: categories.into_iter().map(|(_, counted)| answers::category(counted)).collect(),
    })
}

/// What is told of a rename.
pub(super) type Told = mpsc::Receiver<Result<RenameCategoryResponse, Status>>;

/// Begins a rename, which goes on by itself, and answers what is told of it.
pub(super) async fn rename(
    store: &ProductStore,
    request: RenameCategoryRequest,
    author: Author,
    stopping: CancellationToken,
) -> Result<Told, Error> {
    let deadline = Instant::now() + PATIENCE;
    let validate_only = request.validate_only;
    let (from, to, key) = requests::rename(request)?;
    let (tell, told) = mpsc::channel(AHEAD);
    let named = format!("{} to {}", from.as_str(), to.as_str());
    let rename = Rename::new(store.clone(), from, to, author)?;
    let key = key.filter(|_| !validate_only);
    let begun = match &key {
        Some(key) => store.begin_rename(key, deadline).await?,
        None => Begun::New,
    };
    let preview = match (begun, rename.preview(deadline).await) {
        (Begun::Done { renamed }, _) => return Ok(ended(tell, told, renamed)),
        // It broke off behind its last piece.
        (Begun::Unfinished, Err(Error::CategoryNotFound { .. })) => {
            Preview { total: 0, merges: false, sample: Vec::new() }
        }
        (_, preview) => preview?,
    };
    let total = preview.total;
    drop(tell.try_send(Ok(first(preview))));
    if !validate_only {
        let running = Running { store: store.clone(), rename, key, total, tell, named };
        mesh::spawn("category rename", running.run(stopping));
    }
    Ok(told)
}

/// Tells what a rename came to that ended before.
fn ended(tell: mpsc::Sender<Result<RenameCategoryResponse, Status>>, told: Told, renamed: i64) -> Told {
    let done = RenameCategoryResponse { total: renamed, renamed, done: true, ..Default::default() };
    // There is room: it is the first message.
    drop(tell.try_send(Ok(done)));
    told
}

fn first(preview: Preview) -> RenameCategoryResponse {
    let (sample, sample_categories) = preview.sample.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    RenameCategoryResponse {
        total: preview.total,
        merges: preview.merges,
        sample: sample.into_iter().map(answers::product).collect(),
        sample_categories,
        ..Default::default()
    }
}

struct Running {
    store: ProductStore,
    rename: Rename,
    key: Option<RequestKey>,
    total: i64,
    tell: mpsc::Sender<Result<RenameCategoryResponse, Status>>,
    named: String,
}

impl Running {
    async fn run(mut self, stopping: CancellationToken) {
        let ended = match stopping.run_until_cancelled(self.pieces()).await {
            Some(ended) => ended,
            None => Err(Error::Stopping),
        };
        if let Err(error) = ended {
            warn!("could not rename {} to its end: {error}", self.named);
            // Whoever asked may be gone.
            drop(self.tell.send(Err(error.into())).await);
        }
    }

    async fn pieces(&mut self) -> Result<(), Error> {
        let mut renamed = 0;
        while let Some(piece) = self.rename.next().await? {
            renamed += piece;
            self.tell(renamed, false).await;
        }
        if let Some(key) = &self.key {
            self.store.end_rename(key, renamed, Instant::now() + PATIENCE).await?;
        }
        info!("renamed {}: {renamed} products", self.named);
        self.tell(renamed, true).await;
        Ok(())
    }

    /// Tells whoever is still there.
    async fn tell(&self, renamed: i64, done: bool) {
        let total = self.total;
        let message = RenameCategoryResponse { total, renamed, done, ..Default::default() };
        drop(self.tell.send(Ok(message)).await);
    }
}
