//! Lists in small pages, so that no list is ever whole in memory.

use std::pin::pin;
use std::time::Duration;

use futures_util::AsyncReadExt;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::collections::Place;
use crate::failure::Failure;

/// Objects per page: a CRD with its schemas has 100 kB on average and 1 MB at most.
const PAGE: u32 = 5;

/// Half of the apiserver's own limit for a request; a page takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Page<'a> {
    metadata: Meta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    resource_version: String,
    r#continue: Option<String>,
}

/// Passes each object of a place, as JSON, to `show`. Returns the list's version, from which a
/// watch can continue.
pub(crate) async fn list(
    client: &Client,
    place: &Place,
    mut show: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let mut params = ListParams {
        field_selector: place.fields(),
        ..ListParams::default()
    }
    .limit(PAGE);
    let mut text = Vec::new();
    loop {
        fetch(client, place, &params, &mut text).await?;
        let page: Page<'_> = serde_json::from_slice(&text)
            .map_err(|error| Failure::Unreadable(error.to_string()))?;
        for item in page.items.into_iter().flatten() {
            show(item.get())?;
        }
        match page.metadata.r#continue.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(page.metadata.resource_version),
        }
    }
}

/// Fetches a page into a buffer that all pages share.
async fn fetch(
    client: &Client,
    place: &Place,
    params: &ListParams,
    text: &mut Vec<u8>,
) -> Result<(), Failure> {
    let request = Request::new(place.path.clone())
        .list(params)
        .map_err(kube::Error::BuildRequest)?;
    text.clear();
    let read = async {
        let mut body = pin!(client.request_stream(request).await?);
        body.read_to_end(text)
            .await
            .map_err(kube::Error::ReadEvents)
    };
    timeout(PATIENCE, read)
        .await
        .map_err(|_| Failure::Silence(PATIENCE))??;
    Ok(())
}
