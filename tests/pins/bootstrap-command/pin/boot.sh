export GITHUB_TOKEN=x
flux bootstrap github --owner=acme --repository=fleet \
  --path=clusters/one --version v2.8.5
