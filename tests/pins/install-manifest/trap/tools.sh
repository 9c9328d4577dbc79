curl -LO https://github.com/fluxcd/flux2/releases/download/v2.4.0/flux_2.4.0_linux_amd64.tar.gz
curl -LO https://github.com/fluxcd/flux2/releases/download/v2.4.0/crd-schemas.tar.gz
grep -E 'fluxcd/flux2/releases/download/v[0-9.]+/install.yaml' boot.log
kubectl apply -f https://github.com/fluxcd/flux2/releases/download/$(curl -s https://example.org)/install.yaml
# kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v2.3.0/install.yaml
