# A directory that a host shares over NFS 4 with the nodes of a cluster, and the rule that lets them reach it.

variable "host" {
  type        = host
  description = "The server."
}

variable "path" {
  type        = string
  default     = "/srv/data"
  description = "The directory."
}

variable "directories" {
  type        = list(string)
  default     = []
  description = "Directories in it that belong to the same owner, by their paths relative to it."
}

variable "clients" {
  type        = list(string)
  description = "Addresses or networks of the nodes."
  validation {
    condition     = length(var.clients) > 0
    error_message = "Name at least one client."
  }
}

variable "options" {
  type        = list(string)
  default     = ["rw", "sync", "no_subtree_check"]
  description = "Options of exports(5)."
}

variable "uid" {
  type        = number
  default     = 1001
  description = "The owner, as the pods have it."
}

variable "gid" {
  type        = number
  default     = 2000
  description = "The group, as the pods have it."
}

variable "install" {
  type        = bool
  default     = true
  description = "Whether the package nfs-kernel-server is installed."
}

packages "nfs" {
  enabled = var.install
  host    = var.host
  names   = ["nfs-kernel-server"]
}

directory "root" {
  host = var.host
  path = var.path
  mode = "0750"
  uid  = var.uid
  gid  = var.gid
}

directory "in_it" {
  for_each   = toset(var.directories)
  host       = var.host
  path       = "${var.path}/${each.value}"
  mode       = "0750"
  uid        = var.uid
  gid        = var.gid
  depends_on = [directory.root]
}

firewall_rules "nfs" {
  host = var.host
  name = "nfs"
  rules = [
    for pair in setproduct(builtin.ports.nfs, var.clients) :
    { from = pair[1], port = pair[0].port, protocol = pair[0].protocol, comment = pair[0].name }
  ]
}

nfs_export "shared" {
  host       = var.host
  path       = var.path
  clients    = [for address in var.clients : { address = address, options = var.options }]
  depends_on = [packages.nfs, directory.root]
}

output "source" {
  value       = "${var.host.address}:${var.path}"
  description = "What a client mounts."
}

output "path" {
  value = var.path
}
