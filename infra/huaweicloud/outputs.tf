output "function_urn" {
  description = "URN of the function, for invocations and further triggers."
  value       = huaweicloud_fgs_function.this.urn
}

output "settings" {
  description = "The function's settings, without the private ones."
  value       = local.settings
}

output "policy" {
  description = "The policy of the code's agency; what an agency of your own must allow."
  value       = local.policy
}

output "agencies" {
  description = "Names of the agencies in use: code, platform."
  value       = { code = local.code_agency, platform = local.platform_agency }
}

output "csms_secret" {
  description = "Name of the secret whose value is yet to be stored; null when the agency's own token is used."
  value       = one(huaweicloud_csms_secret.token[*].name)
}

output "caller_keys" {
  description = "Name of the secret whose value, the keys of the API's callers, is yet to be stored; null where none was made."
  value       = one(huaweicloud_csms_secret.caller_keys[*].name)
}

output "failure_topic_urn" {
  description = "SMN topic of the events that could not be settled; subscriptions hear of it."
  value       = huaweicloud_smn_topic.failures.topic_urn
}

output "alarm_topic_urn" {
  description = "SMN topic of the alarms; null without them."
  value       = one(huaweicloud_smn_topic.alarms[*].topic_urn)
}

output "log_group" {
  description = "LTS group and stream of the function's logs."
  value       = { group = huaweicloud_lts_group.logs.group_name, stream = huaweicloud_lts_stream.logs.stream_name }
}

output "api" {
  description = "Method and path of the published API; null without one."
  value       = var.api == null ? null : "POST ${huaweicloud_apig_api.detach[0].request_path}"
}
