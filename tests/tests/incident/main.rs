//! The incident on real components: kube-apiserver, etcd, helm-controller with its own service
//! account, Helm 3 and Helm 4. It happens without fluxkeep, and with fluxkeep nothing is touched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod deletes;
mod kept;
mod mutated;
mod stage;
mod with;
mod without;
