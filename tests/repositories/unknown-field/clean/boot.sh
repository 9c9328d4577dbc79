kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v2.5.1/install.yaml
