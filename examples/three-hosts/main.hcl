# Three machines of a staking cluster, with the kinds that exist so far. The addresses are those of the test lab;
# put your own here.

coxswain {
  edition = 2026
  state   = { backend = "local" } # .coxswain/ beside this file
}

variable "ssh_port" {
  type    = number
  default = 22
}

locals {
  cluster = { master = host.master, worker = host.worker }
  all     = merge({ nfs = host.nfs }, local.cluster)
}

host "nfs" { address = "172.20.10.10" }
host "master" { address = "172.20.10.11" }
host "worker" {
  address = "172.20.10.12"
  user    = "ubuntu"
  sudo    = true
  port    = var.ssh_port
}

packages "base" {
  for_each = local.all
  host     = each.value
  names    = ["chrony", "curl"]
}

file "chrony" {
  for_each = local.all
  host     = each.value
  path     = "/etc/chrony/sources.d/coxswain.sources"
  mode     = "0644"
  content  = join("", [for p in ["0.pool.ntp.org", "1.pool.ntp.org", "ntp.ubuntu.com"] : "pool ${p} iburst maxsources 3\n"])

  depends_on = [packages.base]
}

systemd_unit "chrony" {
  for_each   = local.all
  host       = each.value
  name       = "chrony.service"
  state      = "running"
  enabled    = true
  restart_on = [file.chrony[each.key]]
}

file "hosts" {
  for_each = local.all
  host     = each.value
  path     = "/etc/hosts.coxswain"
  mode     = "0644"
  content  = join("", [for name, h in local.all : "${h.address} ${name}\n"])
}

group "staking" {
  host = host.nfs
  name = "staking"
  gid  = 2000
}

user "validator" {
  host  = host.nfs
  name  = "validator"
  uid   = 1001
  group = group.staking.name
  home  = "/data"
  shell = "/usr/sbin/nologin"
}

directory "data" {
  host  = host.nfs
  path  = "/data"
  owner = user.validator.name
  group = group.staking.name
  mode  = "0750"
}
