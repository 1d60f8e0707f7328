//! A form with a file, read while it arrives: however large it is, little of it is in memory.
//!
//! Instead of a total time it has a minimum rate: who sends nothing for a while, or hardly
//! anything for long, is cut. The time that we ourselves take does not count.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::{
    task::yield_now,
    time::{Instant, timeout},
};

use crate::{error::Failure, upload::LEAST_RATE};

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);

/// Bytes that may be held before they are used; heads of fields take some hundred.
const MOST_HELD: usize = 256 * 1024;

/// The longest text of a field that is no file.
const LONGEST_TEXT: u64 = 1024;

/// Fields of one form.
const MOST_FIELDS: usize = 16;

/// How long the rest of a form is listened to, when nobody needs it any more.
const REST: Duration = Duration::from_secs(120);

/// A form that arrives.
pub(crate) struct Parcel {
    fields: Multipart<'static>,
    held: Arc<AtomicUsize>,
    seen: usize,
}

/// A file in it.
pub(crate) struct File {
    name: String,
    /// None behind its end: only then the form has a next field.
    field: Option<Box<Field<'static>>>,
    held: Arc<AtomicUsize>,
}

/// A field of it.
pub(crate) enum Item {
    Text { name: String, value: String },
    File(File),
}

/// Why it does not arrive whole.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("nothing came for too long")]
    Slow,
    #[error("too much came that is no file")]
    Large,
    #[error(transparent)]
    Broken(#[from] axum::Error),
}

impl Parcel {
    /// Opens the form of a request, in which `file` is the name of the field with the file.
    pub(crate) fn open(request: Request, file: &str) -> Result<Parcel, Failure> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = media_type.and_then(|value| multer::parse_boundary(value).ok()).ok_or(Failure::NoParcel)?;
        let held = Arc::new(AtomicUsize::new(0));
        let limits = SizeLimit::new().per_field(LONGEST_TEXT).for_field(file, u64::MAX);
        let body = paced(request.into_body(), Arc::clone(&held));
        let fields = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        Ok(Parcel { fields, held, seen: 0 })
    }

    /// The next field; a file must be read to its end before the one behind it.
    pub(crate) async fn next(&mut self) -> Result<Option<Item>, Failure> {
        let Some(field) = self.fields.next_field().await.map_err(|error| cut(&error))? else { return Ok(None) };
        self.seen += 1;
        self.held.store(0, Ordering::Relaxed);
        if self.seen > MOST_FIELDS {
            return Err(Failure::BadRequest("The form has more fields than the portal has sent.".into()));
        }
        if let Some(name) = field.file_name() {
            let name = last_part(name);
            return Ok(Some(Item::File(File { name, field: Some(Box::new(field)), held: Arc::clone(&self.held) })));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.text().await.map_err(|error| cut(&error))?;
        self.held.store(0, Ordering::Relaxed);
        Ok(Some(Item::Text { name, value }))
    }

    /// Listens to the rest, since browsers read no answer before they have sent everything.
    pub(crate) async fn let_pass(mut self, file: Option<File>) {
        let rest = async {
            if let Some(mut file) = file {
                while let Ok(Some(_)) = file.piece().await {}
            }
            while let Ok(Some(item)) = self.next().await {
                if let Item::File(mut file) = item {
                    while let Ok(Some(_)) = file.piece().await {}
                }
            }
        };
        // Who still sends by then learns of the answer as a broken connection.
        timeout(REST, rest).await.unwrap_or_default();
    }
}

impl File {
    /// What the file is called where it comes from; empty when nobody chose one.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next piece of it; none at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(field) = &mut self.field else { return Ok(None) };
        let piece = field.chunk().await.map_err(|error| cut(&error))?;
        self.held.store(0, Ordering::Relaxed);
        if piece.is_none() {
            self.field = None;
        }
        Ok(piece)
    }
}

/// The last part of a path, without control characters.
fn last_part(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect::<String>().trim().to_owned()
}

/// The bytes of a body, one piece at a time, with the clock running while they are waited for.
fn paced(body: Body, held: Arc<AtomicUsize>) -> impl Stream<Item = Result<Bytes, Cut>> {
    let begin = Pace { body: body.into_data_stream(), held, received: 0, waited: Duration::ZERO };
    stream::try_unfold(begin, async |mut pace| {
        // The reader of the form takes all that is there before it gives anything out: here that is one piece.
        yield_now().await;
        let piece = pace.next().await?;
        Ok(piece.map(|piece| (piece, pace)))
    })
}

struct Pace {
    body: BodyDataStream,
    held: Arc<AtomicUsize>,
    received: u64,
    waited: Duration,
}

impl Pace {
    async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        let budget = SILENCE + Duration::from_secs(self.received / LEAST_RATE);
        let patience = budget.saturating_sub(self.waited).min(SILENCE);
        let begun = Instant::now();
        let piece = timeout(patience, self.body.next()).await.map_err(|_| Cut::Slow)?.transpose()?;
        self.waited += begun.elapsed();
        if let Some(piece) = &piece {
            self.received += piece.len() as u64;
            if self.held.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MOST_HELD {
                return Err(Cut::Large);
            }
        }
        Ok(piece)
    }
}

fn cut(error: &multer::Error) -> Failure {
    let cause = match error {
        multer::Error::StreamReadFailed(cause) => cause.downcast_ref::<Cut>(),
        _ => None,
    };
    match (error, cause) {
        (_, Some(Cut::Slow)) => Failure::TooSlow,
        (multer::Error::FieldSizeExceeded { .. }, _) | (_, Some(Cut::Large)) => Failure::TooLarge,
        _ => Failure::BadRequest("The form did not arrive whole.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "--x\r\nContent-Disposition: form-data; name=\"mode\"\r\n\r\ncreate\r\n\
                        --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\lists\\\\a\tb.csv\"\r\n\r\n";

    fn open(body: Body) -> Parcel {
        let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        Parcel::open(request.body(body).unwrap(), "file").unwrap_or_else(|_| panic!("it is a form"))
    }

    async fn file(parcel: &mut Parcel) -> File {
        loop {
            match parcel.next().await.unwrap().unwrap() {
                Item::File(file) => return file,
                Item::Text { name, value } => assert_eq!((name.as_str(), value.as_str()), ("mode", "create")),
            }
        }
    }

    #[tokio::test]
    async fn a_file_of_any_size_is_never_held_whole() {
        let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
        let file_bytes = std::iter::repeat_n(chunk, 1000);
        let pieces = std::iter::once(Bytes::from(HEAD)).chain(file_bytes).chain([Bytes::from("\r\n--x--\r\n")]);
        let mut parcel = open(Body::from_stream(stream::iter(pieces.map(Ok::<_, Cut>))));

        let mut file = file(&mut parcel).await;

        assert_eq!(file.name(), "a b.csv");
        let (mut all, mut largest) = (0, 0);
        while let Some(piece) = file.piece().await.unwrap() {
            (all, largest) = (all + piece.len(), largest.max(piece.len()));
        }
        assert_eq!(all, 16_384_000);
        assert!(largest <= MOST_HELD / 2, "{largest}");
        assert!(parcel.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_no_file_is_small() {
        let endless = stream::iter(std::iter::repeat_with(|| Ok::<_, Cut>(Bytes::from(vec![b'x'; 16 * 1024]))));
        assert!(matches!(open(Body::from_stream(endless)).next().await, Err(Failure::TooLarge)));
        let long = HEAD.replace("create", &"x".repeat(2000));
        assert!(matches!(open(Body::from(long)).next().await, Err(Failure::TooLarge)));
        assert!(matches!(open(Body::from("--x\r\n")).next().await, Err(Failure::BadRequest(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_or_hardly_anything_is_cut() {
        let trickle = stream::unfold(0, async |sent| {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Some((Ok::<_, Cut>(Bytes::from("x")), sent + 1))
        });
        let head = stream::iter([Ok(Bytes::from(HEAD))]);
        let mut parcel = open(Body::from_stream(head.chain(Box::pin(trickle))));
        let mut file = file(&mut parcel).await;
        let mut pieces = 0;
        let failure = loop {
            match file.piece().await {
                Ok(_) => pieces += 1,
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, Failure::TooSlow) && pieces == 1, "{failure} after {pieces}");
    }
}
