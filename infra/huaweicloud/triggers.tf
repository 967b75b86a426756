resource "huaweicloud_fgs_function_trigger" "schedule" {
  count = var.schedule == null ? 0 : 1

  region       = var.region
  function_urn = huaweicloud_fgs_function.this.urn
  type         = "TIMER"
  status       = "ACTIVE"
  event_data = jsonencode({
    name          = "${var.name}-sweep"
    schedule_type = var.schedule.rate == null ? "Cron" : "Rate"
    schedule      = coalesce(var.schedule.rate, var.schedule.cron)
    user_event    = jsonencode({ sweep = {} })
  })
}

# A deleted server, told by the trace service. Through SMN: EventGrid can't be expressed, as the provider's EVENTGRID
# trigger knows OBS sources only and does not read back what it was given. SMN also lets others listen to the same topic.
resource "huaweicloud_smn_topic" "server_deleted" {
  count = var.on_server_deleted == "smn" ? 1 : 0

  region       = var.region
  name         = "${var.name}-server-deleted"
  display_name = "${var.name}: deleted servers"
  tags         = local.tags
}

resource "huaweicloud_cts_notification" "server_deleted" {
  count = var.on_server_deleted == "smn" ? 1 : 0

  region         = var.region
  name           = replace("${var.name}_server_deleted", "-", "_")
  operation_type = "customized"
  smn_topic      = huaweicloud_smn_topic.server_deleted[0].topic_urn

  operations {
    service     = "ECS"
    resource    = "ecs"
    trace_names = ["deleteServer"]
  }

  filter {
    condition = "AND"
    rule      = ["trace_rating = normal"]
  }
}

resource "huaweicloud_fgs_function_trigger" "server_deleted_smn" {
  count = var.on_server_deleted == "smn" ? 1 : 0

  region       = var.region
  function_urn = huaweicloud_fgs_function.this.urn
  type         = "SMN"
  status       = "ACTIVE"
  event_data   = jsonencode({ topic_urn = huaweicloud_smn_topic.server_deleted[0].topic_urn })
}

resource "huaweicloud_fgs_function_trigger" "server_deleted_cts" {
  count = var.on_server_deleted == "cts" ? 1 : 0

  region       = var.region
  function_urn = huaweicloud_fgs_function.this.urn
  type         = "CTS"
  status       = "ACTIVE"
  event_data = jsonencode({
    name       = replace("${var.name}_server_deleted", "-", "_")
    operations = ["ECS:ecs:deleteServer"]
  })
}

# Made from the gateway's side: the function's own APIG trigger takes eleven keys that no provider example shows.
resource "huaweicloud_apig_api" "detach" {
  count = var.api == null ? 0 : 1

  region                  = var.region
  instance_id             = var.api.instance_id
  group_id                = var.api.group_id
  name                    = var.name
  description             = "Clear the record of a stuck volume attachment."
  type                    = var.api.public ? "Public" : "Private"
  request_protocol        = "HTTPS"
  request_method          = "POST"
  request_path            = var.api.path
  matching                = "Exact"
  security_authentication = "IAM"
  content_type            = "application/json"

  func_graph {
    function_urn    = huaweicloud_fgs_function.this.urn
    version         = "latest"
    network_type    = "V2"
    invocation_type = "sync"
    timeout         = (var.timeout + 1) * 1000
  }
}

resource "huaweicloud_apig_api_publishment" "detach" {
  count = var.api == null ? 0 : 1

  region      = var.region
  instance_id = var.api.instance_id
  api_id      = huaweicloud_apig_api.detach[0].id
  env_id      = var.api.environment_id
}
