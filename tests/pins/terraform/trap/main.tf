terraform {
  required_providers {
    flux = { source = "example/flux", version = "1.7.1" }
    # flux = { source = "fluxcd/flux", version = "1.7.0" }
  }
}

resource "helm_release" "redis" {
  chart   = "redis"
  version = "2.13.0"
}
