//! What the portal asks of the catalogue about the past of a product.

use proto::products::{
    CompareProductVersionsRequest, CompareProductVersionsResponse, GetProductVersionRequest,
    ListProductVersionsRequest, ListProductVersionsResponse, ProductVersion, RestoreProductVersionRequest,
};

use crate::{
    backends::{
        Backends,
        products::{changed, unanswered},
    },
    error::Failure,
    form::Posted,
    grpcurl::Method,
    product::Product,
    refusal::Refused,
};

pub(crate) const VERSIONS: Method = Method::new("rundoo.products.v1.ProductService/ListProductVersions");
pub(crate) const COMPARE: Method = Method::new("rundoo.products.v1.ProductService/CompareProductVersions");

impl Backends {
    /// A page of versions, the newest first.
    pub(crate) async fn versions(
        &self,
        request: ListProductVersionsRequest,
    ) -> Result<ListProductVersionsResponse, Failure> {
        Ok(self.products.clone().list_product_versions(request).await.map_err(unanswered)?.into_inner())
    }

    /// One version of a product.
    pub(crate) async fn version(&self, id: i64, version: i64) -> Result<Option<ProductVersion>, Failure> {
        let request = GetProductVersionRequest { id, version };
        Ok(self.products.clone().get_product_version(request).await.map_err(unanswered)?.into_inner().version)
    }

    /// What differs between two versions.
    pub(crate) async fn compare(
        &self,
        request: CompareProductVersionsRequest,
    ) -> Result<CompareProductVersionsResponse, Failure> {
        Ok(self.products.clone().compare_product_versions(request).await.map_err(unanswered)?.into_inner())
    }

    /// Gives a product what an earlier version of it said.
    pub(crate) async fn restore(&self, id: i64, version: i64, posted: &Posted) -> Result<Product, Refused> {
        let request = RestoreProductVersionRequest {
            id,
            version,
            etag: posted.etag.clone(),
            request_id: posted.request_id.clone(),
            ..Default::default()
        };
        changed(self.products.clone().restore_product_version(request).await?.into_inner().product)
    }
}
