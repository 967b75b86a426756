variable "region" {
  description = "Region of the function, its gateway and the disks, for example ap-southeast-3."
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

variable "gateway" {
  description = "The gateway to publish at: ids of the instance, of an API group in it and of an environment."
  type = object({
    instance_id    = string
    group_id       = string
    environment_id = string
  })
}

variable "email" {
  description = "Who hears of failures and alarms; confirms it once."
  type        = string
}

variable "user_name" {
  description = "IAM user in whose name the log service sends alarms."
  type        = string
}
