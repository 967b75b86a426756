output "function_urn" {
  description = "URN of the function."
  value       = module.evs_detach.function_urn
}

output "failure_topic_urn" {
  description = "Where events arrive that could not be settled."
  value       = module.evs_detach.failure_topic_urn
}

output "alarm_topic_urn" {
  description = "Where alarms arrive."
  value       = module.evs_detach.alarm_topic_urn
}
