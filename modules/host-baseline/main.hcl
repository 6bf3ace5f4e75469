# What every host of a staking cluster has: packages, updates, time, a firewall with the way in, a hardened sshd.

variable "host" {
  type        = host
  description = "The host."
}

variable "timezone" {
  type        = string
  default     = "Etc/UTC"
  description = "Its time zone; null leaves it. Servers are best left on UTC."
}

variable "packages" {
  type        = list(string)
  default     = ["chrony", "curl", "ufw"]
  description = "Packages to install."
}

variable "upgrade" {
  type        = bool
  default     = true
  description = "Whether pending upgrades are installed, and the host rebooted where they ask for it."
}

variable "upgrade_group" {
  type        = string
  default     = "hosts"
  description = "Of the hosts with one group, never two are upgraded or away at a time."
}

variable "ntp_pools" {
  type        = list(string)
  default     = ["pool.ntp.org"]
  description = "Where it has its time from; null leaves chrony as it is."
}

variable "ntp_servers" {
  type        = list(string)
  default     = []
  description = "Single servers beside the pools."
}

variable "ssh_ports" {
  type        = list(number)
  default     = [22]
  description = "The ports on which sshd listens."
  validation {
    condition     = length(var.ssh_ports) > 0
    error_message = "Name at least one port: nobody could log in."
  }
}

variable "ssh_from" {
  type        = list(string)
  default     = ["any"]
  description = "Addresses or networks from which people and coxswain log in."
}

variable "password_authentication" {
  type        = bool
  default     = false
  description = "Whether people may log in with a password."
}

packages "base" {
  host  = var.host
  names = var.packages
}

system_upgrade "all" {
  enabled    = var.upgrade
  host       = var.host
  reboot     = "when_required"
  group      = var.upgrade_group
  depends_on = [packages.base]
}

timezone "zone" {
  enabled = var.timezone != null
  host    = var.host
  name    = coalesce(var.timezone, "Etc/UTC")
}

chrony "time" {
  enabled         = var.ntp_pools != null
  host            = var.host
  pools           = [for name in coalesce(var.ntp_pools, []) : { address = name, maxsources = 3 }]
  servers         = [for name in var.ntp_servers : { address = name }]
  default_sources = false
  maxupdateskew   = 5
  makestep        = { threshold = 0.1, limit = 3 }
  depends_on      = [packages.base]
}

# The port by which coxswain comes stays open until the host's block names the new one.
firewall_rules "ssh" {
  host = var.host
  name = "ssh"
  rules = [
    for pair in setproduct(distinct(concat(var.ssh_ports, [coalesce(var.host.port, 22)])), var.ssh_from) : {
      from     = pair[1] == "any" ? null : pair[1]
      port     = tostring(pair[0])
      protocol = "tcp"
      comment  = "ssh"
    }
  ]
  depends_on = [packages.base]
}

sshd "ssh" {
  host                           = var.host
  ports                          = var.ssh_ports
  password_authentication        = var.password_authentication
  kbd_interactive_authentication = var.password_authentication
  permit_root_login              = "prohibit-password"
}

firewall "default" {
  host       = var.host
  incoming   = "deny"
  outgoing   = "allow"
  depends_on = [packages.base]
}

output "host" {
  value       = var.host
  description = "The host, for what comes after the baseline."
}
