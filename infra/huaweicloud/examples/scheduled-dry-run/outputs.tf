output "function_urn" {
  description = "URN of the function."
  value       = module.evs_detach.function_urn
}

output "log_group" {
  description = "Where to read what it found."
  value       = module.evs_detach.log_group
}
