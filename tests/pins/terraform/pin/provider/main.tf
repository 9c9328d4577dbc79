terraform {
  required_providers {
    flux = {
      source  = "fluxcd/flux"
      version = "1.7.1"
    }
  }
}

resource "flux_bootstrap_git" "other" {
  path = "clusters/other"
}
