//! Categories through the wire: the tree with its counts, and renames as they are told.

use proto::products::{
    Category, ListCategoriesRequest, ListProductVersionsRequest, RenameCategoryRequest, RenameCategoryResponse,
};
use tonic::{Code, Status};

use crate::products::shop::{Shop, draft, everywhere, fresh, why};

async fn list(shop: &mut Shop, parent: &str, recursive: bool, page_size: i32) -> Result<Vec<Category>, Status> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListCategoriesRequest { parent: parent.to_owned(), recursive, page_size, page_token };
        let page = shop.products.list_categories(request).await?.into_inner();
        all.extend(page.categories);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

async fn rename(shop: &mut Shop, request: &RenameCategoryRequest) -> Result<Vec<RenameCategoryResponse>, Status> {
    let mut told = shop.products.rename_category(request.clone()).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = told.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn paths(categories: &[Category]) -> Vec<(&str, i64, i64)> {
    let row = |category: &'_ Category| (category.product_count, category.total_product_count);
    categories.iter().map(|category| (category.path.as_str(), row(category).0, row(category).1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tree_is_counted_and_a_rename_is_told_done_once_and_in_the_history() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let mut eggshell = 0;
        for (number, category) in
            ["Paint/Interior/Eggshell", "Paint / interior", "Paint", "Tools/Hand", "Paint Supplies"].iter().enumerate()
        {
            let product = shop
                .create(proto::products::CreateProductRequest {
                    category: (*category).to_owned(),
                    ..draft("Thing", &format!("T-{number}"))
                })
                .await?;
            assert!(!product.category.contains(" /"), "{}", product.category);
            eggshell = if number == 0 { product.id } else { eggshell };
        }

        let first = list(shop, "", false, 2).await?;
        assert_eq!(paths(&first), [("Paint", 1, 3), ("Paint Supplies", 1, 1), ("Tools", 0, 1)]);
        assert_eq!(first.iter().map(|one| one.has_children).collect::<Vec<_>>(), [true, false, true]);
        let below = list(shop, "PAINT", true, 1).await?;
        assert_eq!(paths(&below), [("Paint/Interior", 1, 2), ("Paint/Interior/Eggshell", 1, 1)]);
        assert_eq!(below[1].title, "Eggshell");

        let request = |to: &str, validate_only| RenameCategoryRequest {
            from: "paint/interior".to_owned(),
            to: to.to_owned(),
            request_id: fresh(),
            validate_only,
        };
        let preview = rename(shop, &request("Tools", true)).await?;
        let [only] = preview.as_slice() else { anyhow::bail!("{preview:?}") };
        assert_eq!((only.total, only.merges, only.done, only.renamed), (2, true, false, 0));
        assert_eq!(only.sample_categories, ["Tools", "Tools/Eggshell"]);
        assert_eq!(paths(&list(shop, "PAINT", true, 0).await?).len(), 2, "nothing was renamed");

        let wanted = request("Indoors", false);
        let told = rename(shop, &wanted).await?;
        let last = told.last().cloned().unwrap_or_default();
        assert_eq!((told[0].total, last.total, last.renamed, last.done), (2, 2, 2, true));
        let product = shop.get(eggshell).await?;
        assert_eq!((product.category.as_str(), product.version), ("Indoors/Eggshell", 2));
        let versions = ListProductVersionsRequest { id: eggshell, ..Default::default() };
        let versions = shop.products.list_product_versions(versions).await?.into_inner().versions;
        assert_eq!(versions[1].product.clone().unwrap_or_default().category, "Paint/Interior/Eggshell");

        // The same request again tells the same, and renames nothing that came since.
        shop.create(proto::products::CreateProductRequest {
            category: "Paint/Interior".to_owned(),
            ..draft("New", "N-1")
        })
        .await?;
        let again = rename(shop, &wanted).await?;
        assert_eq!((again.len(), again[0].renamed, again[0].done), (1, 2, true));
        assert_eq!(paths(&list(shop, "paint", false, 0).await?), [("Paint/Interior", 1, 1)]);
        let reused = RenameCategoryRequest { to: "Elsewhere".to_owned(), ..wanted };
        assert_eq!(why(&rename(shop, &reused).await.expect_err("another request")).1, "REQUEST_ID_REUSED");

        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rename_or_a_list_that_cannot_be_is_refused() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.add("Thing", "T-1").await?;
        let paint = proto::products::CreateProductRequest { category: "Paint".to_owned(), ..draft("Tin", "P-1") };
        shop.create(paint).await?;
        for (from, to, code, reason) in [
            ("Nowhere", "Tools", Code::NotFound, "CATEGORY_NOT_FOUND"),
            ("Tools", "Tools/Old", Code::InvalidArgument, "INVALID_FIELD"),
            ("Tools", "", Code::InvalidArgument, "INVALID_FIELD"),
            ("", "Tools", Code::InvalidArgument, "INVALID_FIELD"),
            ("Tools", &"x".repeat(118), Code::InvalidArgument, "INVALID_FIELD"),
        ] {
            let bad = RenameCategoryRequest { from: from.to_owned(), to: to.to_owned(), ..Default::default() };
            let refused = rename(shop, &bad).await.expect_err("it cannot be");
            assert_eq!((refused.code(), why(&refused).1.as_str()), (code, reason), "{from} {to}");
        }
        let foreign = ListCategoriesRequest { page_size: 1, ..Default::default() };
        let page_token = shop.products.list_categories(foreign).await?.into_inner().next_page_token;
        let foreign = ListCategoriesRequest { parent: "Paint".to_owned(), page_token, ..Default::default() };
        let refused = shop.products.list_categories(foreign).await.expect_err("of another list");
        assert_eq!(why(&refused).1, "INVALID_PAGE_TOKEN");
        Ok(())
    })
    .await
}
