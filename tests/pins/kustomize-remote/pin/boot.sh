kubectl apply -k "https://github.com/fluxcd/flux2.git//manifests/install?ref=v2.4.0&timeout=90s"
