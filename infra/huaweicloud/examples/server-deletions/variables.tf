variable "region" {
  description = "Region whose servers' deletions are listened to, for example ap-southeast-3; it needs a tracker of the trace service."
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

variable "sweep_dry_run" {
  description = "Whether the nightly sweep only reports."
  type        = bool
  default     = true
}

variable "email" {
  description = "Who hears of failures and alarms; confirms it once."
  type        = string
}

variable "user_name" {
  description = "IAM user in whose name the log service sends alarms."
  type        = string
}
