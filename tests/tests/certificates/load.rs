//! Clients that constantly create objects; each creation causes two reviews.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fluxkeep_tests::control_plane::eventually;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::core::ObjectMeta;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::stage::{NAMESPACE, Stage, WEBHOOKS};

/// Concurrent clients.
const CLIENTS: usize = 4;

pub(crate) struct Load {
    done: Arc<AtomicUsize>,
    failed: Arc<Mutex<Vec<String>>>,
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(stage: &Stage) -> Self {
        let (done, failed) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<String>>>::default(),
        );
        let (stop, stopped) = watch::channel(false);
        let client = |number| {
            let api = config_maps(stage);
            let (done, failed, stopped) = (done.clone(), failed.clone(), stopped.clone());
            tokio::spawn(async move {
                for turn in number.. {
                    if *stopped.borrow() {
                        return;
                    }
                    if let Err(error) = asked(&api, turn % WEBHOOKS).await {
                        failed.lock().unwrap().push(error);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            done,
            failed,
            stop,
            clients,
        }
    }

    /// Waits until every webhook was asked a few more times.
    pub(crate) async fn grows(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + 5 * WEBHOOKS * CLIENTS;
        eventually("admissions are asked for", async || {
            let done = self.done.load(Ordering::Relaxed);
            if done >= wanted {
                Ok(())
            } else {
                Err(format!("{done} of {wanted}"))
            }
        })
        .await;
    }

    /// Stops the load and returns all failures.
    pub(crate) async fn end(self) -> Vec<String> {
        self.stop.send_replace(true);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut self.failed.lock().unwrap())
    }
}

/// Asks each webhook once.
pub(crate) async fn ask_each(stage: &Stage) -> Result<(), String> {
    for index in 0..WEBHOOKS {
        asked(&config_maps(stage), index).await?;
    }
    Ok(())
}

/// Asks the first webhook once.
pub(crate) async fn ask_one(stage: &Stage) -> Result<(), String> {
    asked(&config_maps(stage), 0).await
}

fn config_maps(stage: &Stage) -> Api<ConfigMap> {
    Api::namespaced(stage.cluster.client.clone(), NAMESPACE)
}

/// Creates the object that the webhooks of this number match. A dry run stores nothing, so that
/// names can be reused.
async fn asked(api: &Api<ConfigMap>, index: usize) -> Result<(), String> {
    let metadata = ObjectMeta {
        name: Some(format!("load-{index}")),
        ..ObjectMeta::default()
    };
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let created = api
        .create(
            &dry,
            &ConfigMap {
                metadata,
                ..ConfigMap::default()
            },
        )
        .await;
    created.map(drop).map_err(|error| error.to_string())
}
