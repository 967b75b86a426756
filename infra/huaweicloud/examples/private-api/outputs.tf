output "api" {
  description = "Method and path to call."
  value       = module.evs_detach.api
}

output "caller_keys" {
  description = "Secret to store the callers' keys in."
  value       = module.evs_detach.caller_keys
}
