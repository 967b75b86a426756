# What a user gets who says no more than where and which zip.

mock_provider "huaweicloud" {}

variables {
  region       = "ap-southeast-3"
  package_file = "./tests/empty.zip"
}

run "defaults" {
  assert {
    condition     = huaweicloud_fgs_function.this.runtime == "Python3.10" && huaweicloud_fgs_function.this.handler == "index.handler" && huaweicloud_fgs_function.this.code_type == "zip"
    error_message = "The zip must run as index.handler."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.func_code == filebase64("./tests/empty.zip")
    error_message = "The function's code must be the zip."
  }

  assert {
    condition     = output.settings.DETACH_SWEEP_DRY_RUN == "true" && output.settings.DETACH_SERVER_CHECK == "gone"
    error_message = "By default sweeps are dry runs and only a server that is gone counts."
  }

  assert {
    condition     = output.settings.DETACH_TOKEN_SECRET == "context:" && output.settings.DETACH_INVOKE_AUTH == "platform"
    error_message = "By default the agency's token is used, and FunctionGraph checks the callers."
  }

  assert {
    condition     = tonumber(output.settings.DETACH_TIMEOUT) < huaweicloud_fgs_function.this.timeout
    error_message = "The code must stop before the platform stops it."
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_function.this.user_data) == output.settings && huaweicloud_fgs_function.this.encrypted_user_data == null
    error_message = "The settings must be the function's user data."
  }

  assert {
    condition = (
      length(huaweicloud_fgs_function_trigger.schedule) == 0
      && length(huaweicloud_fgs_function_trigger.server_deleted_smn) == 0
      && length(huaweicloud_fgs_function_trigger.server_deleted_cts) == 0
      && length(huaweicloud_cts_notification.server_deleted) == 0
      && length(huaweicloud_apig_api.detach) == 0
      && length(huaweicloud_csms_secret.token) == 0
    )
    error_message = "Nothing starts the function, and no secret is made, unless asked for."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.agency != huaweicloud_fgs_function.this.app_agency
    error_message = "The code must not have the platform's agency."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.max_instance_num == "5"
    error_message = "The number of instances must be bounded."
  }

  assert {
    condition     = huaweicloud_fgs_async_invoke_configuration.this.max_async_retry_attempts == 3 && huaweicloud_fgs_async_invoke_configuration.this.on_failure[0].destination == "SMN"
    error_message = "Events are tried again, then handed to the failure topic."
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_async_invoke_configuration.this.on_failure[0].param).topic_urn == huaweicloud_smn_topic.failures.topic_urn
    error_message = "The failure topic must be the destination of failures."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.enable_lts_log && huaweicloud_fgs_function.this.log_stream_id == huaweicloud_lts_stream.logs.id && huaweicloud_lts_group.logs.ttl_in_days == 30
    error_message = "Logs go to the function's own stream and are kept for 30 days."
  }

  assert {
    condition = alltrue([
      for tags in [huaweicloud_fgs_function.this.tags, huaweicloud_lts_group.logs.tags, huaweicloud_lts_stream.logs.tags, huaweicloud_smn_topic.failures.tags] :
      tags.application == "evs-detach"
    ])
    error_message = "All that can have tags must have ours."
  }
}

run "settings_and_tags_of_the_user" {
  variables {
    project_id = "0123456789abcdef0123456789abcdef"
    settings   = { DETACH_LOG_LEVEL = "DEBUG" }
    sweep      = { dry_run = false, limit = 5 }
    tags       = { team = "storage" }
    kms_key_id = "11111111-2222-3333-4444-555555555555"
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_function.this.user_data).DETACH_LOG_LEVEL == "DEBUG" && output.settings.DETACH_PROJECT_ID == var.project_id
    error_message = "Further settings must arrive."
  }

  assert {
    condition     = output.settings.DETACH_SWEEP_DRY_RUN == "false" && output.settings.DETACH_SWEEP_LIMIT == "5" && output.settings.DETACH_SWEEP_MIN_AGE_SECONDS == "900"
    error_message = "The sweep's bounds must arrive, those left out with their defaults."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.tags == tomap({ application = "evs-detach", team = "storage" })
    error_message = "The user's tags come on top of ours."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.user_data_encrypt_kms_key_id == var.kms_key_id
    error_message = "The settings must be encrypted with the user's key."
  }
}

run "image" {
  variables {
    package_file = null
    image        = { url = "swr.ap-southeast-3.myhuaweicloud.com/storage/evs-detach:1.0.0" }
  }

  assert {
    condition     = huaweicloud_fgs_function.this.runtime == "Custom Image" && huaweicloud_fgs_function.this.handler == "-" && huaweicloud_fgs_function.this.code_type == "Custom-Image-Swr"
    error_message = "An image runs as a custom image."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.custom_image[0].url == var.image.url && huaweicloud_fgs_function.this.custom_image[0].args == "--port,8000"
    error_message = "FunctionGraph calls an image on port 8000."
  }

  assert {
    condition     = huaweicloud_fgs_function.this.enable_auth_in_header && huaweicloud_fgs_function.this.func_code == null
    error_message = "An image gets the agency's token in a header."
  }

  assert {
    condition     = contains(one(huaweicloud_identity_agency.platform[0].project_role).roles, "SWR Admin") && !contains(one(huaweicloud_identity_agency.code[0].project_role).roles, "SWR Admin")
    error_message = "Only the platform's agency may pull a private image."
  }
}

run "public_image" {
  variables {
    package_file = null
    image        = { url = "swr.ap-southeast-3.myhuaweicloud.com/storage/evs-detach@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", private = false }
  }

  assert {
    condition     = one(huaweicloud_identity_agency.platform[0].project_role).roles == toset(["evs-detach-platform"])
    error_message = "A public image needs no role."
  }
}
