//! Writes during which the server dies.

use fluxkeep_tests::control_plane::validated;

use crate::doors::{Write, before, writes};
use crate::stage::{BY_WEBHOOK, Stage, written};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_it_judges_closes_the_engine_at_each_door_and_holds_up_nothing_else()
 {
    let mut stage = Stage::set("killed_while_it_judges").await;
    stage.cluster.apply_all(&before()).await;
    stage.registered().await;
    for Write { object, closed, .. } in writes() {
        let said = stage
            .webhook
            .killed_by(&stage.cluster, written(&stage.cluster, &object))
            .await;
        assert_eq!(
            said.contains("failed calling webhook"),
            closed,
            "{object}: {said}"
        );
        assert_eq!(said.is_empty(), !closed, "{object}: {said}");
        stage.webhook.restart().await;
    }
    stage.until(BY_WEBHOOK).await;
    validated(&stage.cluster).await;
    // Tried again, each write is judged.
    for write in writes() {
        let said = written(&stage.cluster, &write.object).await;
        write.is_judged(&said);
    }
}
