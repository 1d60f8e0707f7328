//! A small HTTP client: gets pages, posts forms, shows status, headers and text.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub struct Page {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as text.
    pub text: String,
}

impl Page {
    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        self.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What stands in the page's title, before the site's name.
    pub fn title(&self) -> &str {
        let title = self.text.split_once("<title>").and_then(|(_, rest)| rest.split_once(" – Rundoo</title>"));
        title.map_or("", |(title, _)| title)
    }

    /// Where the link with this `rel` leads, such as `next`.
    pub fn link(&self, rel: &str) -> Option<String> {
        let (_, rest) = self.text.split_once(&format!("rel=\"{rel}\" href=\""))?;
        Some(decode(rest.split('"').next().unwrap_or_default()))
    }

    /// The value of the first input of this name.
    pub fn input(&self, name: &str) -> Option<String> {
        let tags = self.text.split('<').filter(|tag| tag.starts_with("input"));
        let tag = tags.into_iter().find(|tag| tag.contains(&format!("name=\"{name}\"")))?;
        let (_, rest) = tag.split_once("value=\"")?;
        Some(decode(rest.split('"').next().unwrap_or_default()))
    }
}

/// Gets a page.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Page> {
    send(address, Method::GET, path, &[], String::new()).await
}

/// Posts a form.
pub async fn post(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let form = (header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
    send(address, Method::POST, path, &[form], body.join("&")).await
}

/// Sends any request.
pub async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> anyhow::Result<Page> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    mesh::spawn("http connection", connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let (parts, body) = response.into_parts();
    let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
    Ok(Page { status: parts.status, headers: parts.headers, text })
}

/// Percent-encodes everything that is not plain.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A text of a page as it is meant: with its entities resolved.
pub fn decode(text: &str) -> String {
    text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}
