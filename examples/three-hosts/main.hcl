# Three machines of a staking cluster: one that holds the data, two that will be a MicroK8s cluster. The addresses are
# those of the test lab, where `try` runs this; put your own here.

coxswain {
  edition = 2026
  state   = { backend = "local" } # .coxswain/ beside this file
}

variable "upgrade" {
  type        = bool
  default     = true
  description = "Whether pending upgrades are installed."
}

variable "ntp_pools" {
  type    = list(string)
  default = ["0.debian.pool.ntp.org", "1.debian.pool.ntp.org"]
}

variable "ntp_servers" {
  type    = list(string)
  default = []
}

locals {
  cluster = { master = host.master, worker = host.worker }
  all     = merge({ nfs = host.nfs }, local.cluster)
  nodes   = [for h in local.cluster : h.address]
}

host "nfs" {
  address = "172.20.10.10"
  user    = "root"
}
host "master" {
  address = "172.20.10.11"
  user    = "root"
}
host "worker" {
  address = "172.20.10.12"
  user    = "admin"
  sudo    = true
}

module "baseline" {
  source      = "builtin:host-baseline"
  for_each    = local.all
  host        = each.value
  upgrade     = var.upgrade
  ntp_pools   = var.ntp_pools
  ntp_servers = var.ntp_servers
}

module "nfs" {
  source      = "builtin:nfs-server"
  host        = host.nfs
  directories = ["execution", "beacon", "validator"]
  clients     = local.nodes
  depends_on  = [module.baseline]
}

module "microk8s" {
  source        = "builtin:microk8s-firewall"
  for_each      = local.cluster
  host          = each.value
  nodes         = local.nodes
  control_plane = each.key == "master" ? [host.master.address] : null
  depends_on    = [module.baseline]
}

sysctl "connections" {
  for_each = local.cluster
  host     = each.value
  key      = "net.core.somaxconn"
  value    = "1024"
}

output "share" { value = module.nfs.source }
