flux bootstrap github --owner=acme --path=clusters/one
flux reconcile source git flux-system --version v2.8.5
miniflux install --version v2.0.0
