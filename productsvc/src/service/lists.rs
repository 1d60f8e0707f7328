//! Pages of lists, and the tokens that lead from one to the next.

use proto::products::{ListProductsRequest, ListProductsResponse};
use tokio::time::Instant;

use crate::error::Error;
use crate::order::Order;
use crate::page::Cursor;
use crate::selection::Selection;
use crate::service::{answers, requests};
use crate::store::{List, Listed, ProductStore};

const METHOD: &str = "ListProducts";

pub(super) async fn list(
    store: &ProductStore,
    request: &ListProductsRequest,
    deadline: Instant,
) -> Result<ListProductsResponse, Error> {
    let (selection, order, size) = requests::list(request)?;
    let binding = binding(&selection, order);
    let arguments = binding.each_ref().map(String::as_str);
    let cursor = Cursor::parse(&request.page_token, METHOD, &arguments, order)?;
    let list = List { selection, order, cursor, size };
    let Listed { page, total, .. } = store.list(&list, deadline).await?;
    Ok(ListProductsResponse {
        next_page_token: Cursor::token(page.next, METHOD, &arguments),
        previous_page_token: Cursor::token(page.previous, METHOD, &arguments),
        products: page.items.into_iter().map(answers::product).collect(),
        total_size: total.size,
        total_size_is_exact: total.is_exact,
    })
}

/// What a token belongs to: the same list in other words is the same.
pub(super) fn binding(selection: &Selection, order: Order) -> [String; 3] {
    let shown = if selection.show_deleted { "deleted" } else { "" };
    [order.to_string(), selection.filter.to_string(), shown.to_owned()]
}
