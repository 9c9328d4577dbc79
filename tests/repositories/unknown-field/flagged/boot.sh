kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v2.4.0/install.yaml
