variable "flux_version" {
  type    = string
  default = "v2.6.4"
}

resource "flux_bootstrap_git" "this" {
  path    = "clusters/main"
  version = var.flux_version
}
