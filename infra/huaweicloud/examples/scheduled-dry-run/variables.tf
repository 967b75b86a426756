variable "region" {
  description = "Region whose project is looked through, for example ap-southeast-3."
  type        = string
}

variable "package_file" {
  description = "Path of the zip that `make package` made."
  type        = string
}

variable "runtime" {
  description = "Python that the zip was packed for."
  type        = string
  default     = "Python3.10"
}

variable "rate" {
  description = "How often to look: 1m to 60m, 1h to 24h or 1d to 30d."
  type        = string
  default     = "1d"
}
