# Runs anywhere, without root, inside this directory:
#
#   coxswain plan  --chdir examples/local-files
#   coxswain apply --chdir examples/local-files --yes

coxswain {
  edition = 2026
  state   = { backend = "local" } # .coxswain/ beside this file
}

variable "cluster" {
  type    = string
  default = "seven"

  validation {
    condition     = length(var.cluster) > 0
    error_message = "the cluster needs a name"
  }
}

variable "operators" {
  type = list(object({
    name    = string
    address = string
    port    = optional(number, 3610)
  }))
  default = [
    { name = "ann", address = "172.20.10.10" },
    { name = "bob", address = "172.20.10.11" },
    { name = "cyd", address = "172.20.10.12", port = 3611 },
  ]
}

locals {
  peers = { for o in var.operators : o.name => o }
}

directory "out" {
  path = "out"
  mode = "0755"
}

directory "peers" {
  path = "${directory.out.path}/peers"
  mode = "0755"
}

file "readme" {
  path    = "${directory.out.path}/README.txt"
  mode    = "0644"
  content = templatefile("templates/readme.tmpl", { cluster = var.cluster, peers = local.peers })
}

file "peer" {
  for_each = local.peers
  path     = "${directory.peers.path}/${each.key}.json"
  mode     = "0640"
  content  = jsonencode({ name = each.key, address = "${each.value.address}:${each.value.port}" })
}

output "files" {
  value = concat([file.readme.path], [for f in values(file.peer) : f.path])
}
