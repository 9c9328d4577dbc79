//! Measures with a real apiserver that has many large CRDs.

use fluxkeep_tests::control_plane::ControlPlane;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::program::Program;
use crate::{crd, schema};

/// Measures with half of the CRDs, then with all. The server must read half within five seconds.
pub(crate) async fn measure(crds: usize) -> anyhow::Result<Vec<String>> {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("following").await;
    let (schema, mut rows) = (schema(), Vec::new());
    for (from, to) in [(0, crds / 2), (crds / 2, crds)] {
        let size = crd(0, &schema).to_string().len() / 1000;
        let applied = stream::iter(from..to).map(|number| {
            let (cluster, object) = (&cluster, crd(number, &schema));
            async move { cluster.create(&object).await.map(|_| ()) }
        });
        applied.buffer_unordered(8).try_collect::<()>().await?;
        rows.push(
            Program::start(&plane.kubeconfig())?
                .row(&format!("kube-apiserver, {to} CRDs of {size} kB"))
                .await?,
        );
    }
    Ok(rows)
}
