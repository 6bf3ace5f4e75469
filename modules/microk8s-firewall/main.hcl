# The firewall rules of one node of a MicroK8s cluster. MicroK8s adds four rules of its own at each start (in and out
# on vxlan.calico and cali+); they are its business, and not declared here.

variable "host" {
  type        = host
  description = "The node."
}

variable "nodes" {
  type        = list(string)
  description = "Addresses or networks of all nodes."
  validation {
    condition     = length(var.nodes) > 0
    error_message = "Name at least one network of nodes."
  }
}

variable "control_plane" {
  type        = list(string)
  default     = null
  description = "Addresses of the control plane, for a node that is one of them; null for a worker."
}

variable "operators" {
  type        = list(string)
  default     = []
  description = "Addresses or networks from which people use the API."
}

locals {
  from_nodes = [
    for pair in setproduct(builtin.ports.microk8s.nodes, var.nodes) :
    { from = pair[1], port = pair[0].port, protocol = pair[0].protocol, comment = pair[0].name }
  ]
  from_control_plane = var.control_plane == null ? [] : [
    for pair in setproduct(builtin.ports.microk8s.control_plane, var.control_plane) :
    { from = pair[1], port = pair[0].port, protocol = pair[0].protocol, comment = pair[0].name }
  ]
  from_operators = [
    for address in var.operators :
    { from = address, port = "16443", protocol = "tcp", comment = "api-server for people" }
  ]
}

firewall_rules "nodes" {
  host  = var.host
  name  = "microk8s"
  rules = concat(local.from_nodes, local.from_control_plane, local.from_operators)
}

firewall_rules "pods" {
  host = var.host
  name = "microk8s-pods"
  rules = [
    for rule in builtin.ports.microk8s.pods : {
      direction     = rule.direction
      interface     = try(rule.interface, null)
      out_interface = try(rule.out_interface, null)
      comment       = rule.reason
    }
  ]
}
