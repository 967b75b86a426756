locals {
  project_name = coalesce(var.project_name, var.region)
  # Of the API's callers
  keys          = var.api == null ? null : var.caller_keys
  secret_stores = var.csms_secret == null && local.keys == null ? ["context"] : ["context", "csms"]

  switches = { live = var.live != "off", recover = var.recover != "off" }

  calls = [
    for call in jsondecode(file("${path.module}/calls.json")).calls : call
    if(
      (call.server_check == null ? true : contains(call.server_check, var.server_check))
      || anytrue([for switch in try(call.switch, []) : local.switches[switch]])
    )
    && (call.secret_store == null ? true : contains(local.secret_stores, call.secret_store))
    && !(call.changes && var.read_only)
  ]
  actions = toset(flatten([for call in local.calls : concat(call.actions, call.dependencies)]))

  # Where the service allows it, an action is limited to the one thing that it is for. For EVS, ECS and VPC the limit is
  # the project, below: disks and servers of a sweep are not known beforehand.
  secrets = concat(
    var.csms_secret == null ? [] : [{
      name = var.csms_secret.name
      key  = coalesce(var.csms_secret.kms_key_id, one(huaweicloud_csms_secret.token[*].kms_key_id))
    }],
    local.keys == null ? [] : [{
      name = local.keys.name
      key  = coalesce(local.keys.kms_key_id, one(huaweicloud_csms_secret.caller_keys[*].kms_key_id))
    }],
  )
  resources = length(local.secrets) == 0 ? {} : {
    "csms:secret:get"        = [for secret in local.secrets : "CSMS:*:*:secretName:${secret.name}"]
    "csms:secretVersion:get" = [for secret in local.secrets : "CSMS:*:*:secretName:${secret.name}"]
    "kms:dek:decrypt"        = [for key in distinct(local.secrets[*].key) : "KMS:*:*:KeyId:${key}"]
  }

  policy = {
    Version = "1.1"
    Statement = concat(
      [{ Effect = "Allow", Action = sort(setsubtract(local.actions, keys(local.resources))) }],
      [for action in sort(setintersection(local.actions, keys(local.resources))) : {
        Effect = "Allow", Action = [action], Resource = local.resources[action]
      }],
    )
  }

  code_agency     = var.agencies.code == null ? one(huaweicloud_identity_agency.code[*].name) : var.agencies.code
  platform_agency = var.agencies.platform == null ? one(huaweicloud_identity_agency.platform[*].name) : var.agencies.platform
}

resource "huaweicloud_identity_role" "code" {
  count = var.agencies.code == null ? 1 : 0

  name        = "${var.name}-code"
  description = "The calls that ${var.name} makes, see calls.json."
  type        = "XA"
  policy      = jsonencode(local.policy)
}

resource "huaweicloud_identity_agency" "code" {
  count = var.agencies.code == null ? 1 : 0

  name                   = "${var.name}-code"
  description            = "Whose token ${var.name} uses."
  delegated_service_name = "op_svc_cff"

  project_role {
    project = local.project_name
    roles   = [huaweicloud_identity_role.code[0].name]
  }
}

# What FunctionGraph itself does for the function. The code never gets this agency's token.
resource "huaweicloud_identity_role" "platform" {
  count = var.agencies.platform == null ? 1 : 0

  name        = "${var.name}-platform"
  description = "Publish the events that ${var.name} could not settle."
  type        = "XA"
  policy = jsonencode({
    Version = "1.1"
    Statement = [{
      Effect = "Allow"
      Action = ["smn:topic:publish"]
      # One topic in both spellings that are in use: the vendor's table of resources has the name where its console
      # shows the URN (SMN API reference, "Permissions Policies and Supported Actions").
      Resource = ["SMN:*:*:topic:${huaweicloud_smn_topic.failures.name}", "SMN:*:*:topic:${huaweicloud_smn_topic.failures.topic_urn}"]
    }]
  })
}

resource "huaweicloud_identity_agency" "platform" {
  count = var.agencies.platform == null ? 1 : 0

  name                   = "${var.name}-platform"
  description            = "What FunctionGraph does for ${var.name}."
  delegated_service_name = "op_svc_cff"

  project_role {
    project = local.project_name
    roles   = concat([huaweicloud_identity_role.platform[0].name], try(var.image.private, false) ? ["SWR Admin"] : [])
  }
}
