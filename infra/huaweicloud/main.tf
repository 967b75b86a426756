locals {
  tags = merge({ application = "evs-detach" }, var.tags)

  known = jsondecode(file("${path.module}/settings.json"))

  settings = merge(
    {
      DETACH_REGION                = var.region
      DETACH_TOKEN_SECRET          = var.csms_secret == null ? "context:" : "csms:${var.csms_secret.name}"
      DETACH_SERVER_CHECK          = var.server_check
      DETACH_LIVE                  = var.live
      DETACH_RECOVER               = var.recover
      DETACH_TIMEOUT               = tostring(var.timeout - 5)
      DETACH_SWEEP_DRY_RUN         = tostring(var.sweep.dry_run)
      DETACH_SWEEP_LIMIT           = tostring(var.sweep.limit)
      DETACH_SWEEP_MIN_AGE_SECONDS = tostring(var.sweep.min_age_seconds)
      DETACH_SWEEP_MAX_FRACTION    = tostring(var.sweep.max_fraction)
      # FunctionGraph's triggers and its invocation API are behind IAM and of this account. The gateway's IAM lets in
      # any account (API Gateway user guide, "API Authentication: IAM"), so its callers need a key besides.
      DETACH_INVOKE_AUTH = local.keys == null ? "platform" : "bearer"
    },
    local.keys == null ? {} : { DETACH_INVOKE_SECRET = "csms:${local.keys.name}" },
    var.project_id == null ? {} : { DETACH_PROJECT_ID = var.project_id },
    var.settings,
  )
}

resource "huaweicloud_fgs_function" "this" {
  name                  = var.name
  description           = "Clears the record of a stuck volume attachment, once its server is proven gone."
  region                = var.region
  app                   = "default"
  functiongraph_version = "v2"
  memory_size           = var.memory_size
  timeout               = var.timeout
  max_instance_num      = tostring(var.max_instances)
  tags                  = local.tags

  agency     = local.platform_agency
  app_agency = local.code_agency

  runtime       = var.image == null ? var.runtime : "Custom Image"
  handler       = var.image == null ? "index.handler" : "-"
  code_type     = var.image == null ? "zip" : "Custom-Image-Swr"
  code_filename = var.image == null ? basename(var.package_file) : null
  func_code     = var.image == null ? filebase64(var.package_file) : null

  # a container serves as many at once as it has threads to spare; it gets the agency's token in a header
  concurrency_num       = var.image == null ? null : 8
  enable_auth_in_header = var.image == null ? null : true

  dynamic "custom_image" {
    for_each = var.image[*]
    content {
      url  = custom_image.value.url
      args = "--port,8000"
    }
  }

  user_data                    = jsonencode(local.settings)
  encrypted_user_data          = length(var.private_settings) == 0 ? null : jsonencode(var.private_settings)
  user_data_encrypt_kms_key_id = var.kms_key_id

  enable_lts_log  = true
  log_group_id    = huaweicloud_lts_group.logs.id
  log_group_name  = huaweicloud_lts_group.logs.group_name
  log_stream_id   = huaweicloud_lts_stream.logs.id
  log_stream_name = huaweicloud_lts_stream.logs.stream_name
}

resource "huaweicloud_lts_group" "logs" {
  region      = var.region
  group_name  = var.name
  ttl_in_days = var.log_retention_days
  tags        = local.tags
}

resource "huaweicloud_lts_stream" "logs" {
  region      = var.region
  group_id    = huaweicloud_lts_group.logs.id
  stream_name = var.name
  tags        = local.tags
}

resource "huaweicloud_fgs_async_invoke_configuration" "this" {
  region                         = var.region
  function_urn                   = huaweicloud_fgs_function.this.urn
  max_async_event_age_in_seconds = var.retry.max_age_seconds
  max_async_retry_attempts       = var.retry.attempts
  enable_async_status_log        = true

  on_failure {
    destination = "SMN"
    param       = jsonencode({ topic_urn = huaweicloud_smn_topic.failures.topic_urn })
  }
}

resource "huaweicloud_smn_topic" "failures" {
  region       = var.region
  name         = "${var.name}-failures"
  display_name = "${var.name}: events that could not be settled"
  tags         = local.tags
}

resource "huaweicloud_csms_secret" "token" {
  count = try(var.csms_secret.create, false) ? 1 : 0

  region      = var.region
  name        = var.csms_secret.name
  description = "What ${var.name} has its token issued for."
  kms_key_id  = var.csms_secret.kms_key_id
  tags        = local.tags

  # The first version is empty and the function refuses it. The real value is stored as the next version, by other means
  # than Terraform, so that neither plan nor state ever hold it.
  secret_text = "{}"

  lifecycle {
    ignore_changes = [secret_text]
  }
}

resource "huaweicloud_csms_secret" "caller_keys" {
  count = try(local.keys.create, false) ? 1 : 0

  region      = var.region
  name        = local.keys.name
  description = "The keys of those who may call ${var.name} through its API."
  kms_key_id  = local.keys.kms_key_id
  tags        = local.tags

  # As above: with no key in it, every caller is turned away
  secret_text = "{}"

  lifecycle {
    ignore_changes = [secret_text]
  }
}
