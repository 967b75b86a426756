# Each trigger, on: what it sends and where.

mock_provider "huaweicloud" {}

variables {
  region       = "ap-southeast-3"
  package_file = "./tests/empty.zip"
}

run "every_so_often" {
  variables {
    schedule = { rate = "6h" }
  }

  assert {
    condition     = huaweicloud_fgs_function_trigger.schedule[0].type == "TIMER" && huaweicloud_fgs_function_trigger.schedule[0].function_urn == huaweicloud_fgs_function.this.urn
    error_message = "The schedule must be a timer of the function."
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_function_trigger.schedule[0].event_data) == { name = "evs-detach-sweep", schedule_type = "Rate", schedule = "6h", user_event = "{\"sweep\":{}}" }
    error_message = "The timer must ask for a sweep."
  }
}

run "at_night" {
  variables {
    schedule = { cron = "0 0 3 * * ?" }
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_function_trigger.schedule[0].event_data).schedule_type == "Cron" && jsondecode(huaweicloud_fgs_function_trigger.schedule[0].event_data).schedule == "0 0 3 * * ?"
    error_message = "The timer must take a cron expression."
  }
}

run "server_deleted_through_smn" {
  variables {
    on_server_deleted = "smn"
  }

  assert {
    condition     = huaweicloud_cts_notification.server_deleted[0].operations[0].service == "ECS" && huaweicloud_cts_notification.server_deleted[0].operations[0].resource == "ecs" && huaweicloud_cts_notification.server_deleted[0].operations[0].trace_names == tolist(["deleteServer"])
    error_message = "Only deletions of servers may notify."
  }

  assert {
    condition     = huaweicloud_cts_notification.server_deleted[0].filter[0].rule == tolist(["trace_rating = normal"])
    error_message = "Only deletions that succeeded may notify."
  }

  assert {
    condition     = huaweicloud_cts_notification.server_deleted[0].smn_topic == huaweicloud_smn_topic.server_deleted[0].topic_urn && jsondecode(huaweicloud_fgs_function_trigger.server_deleted_smn[0].event_data) == { topic_urn = huaweicloud_smn_topic.server_deleted[0].topic_urn }
    error_message = "The function must listen to the topic that is notified."
  }

  assert {
    condition     = length(huaweicloud_fgs_function_trigger.server_deleted_cts) == 0
    error_message = "A deletion must not arrive twice."
  }
}

run "server_deleted_by_cts" {
  variables {
    on_server_deleted = "cts"
  }

  assert {
    condition     = jsondecode(huaweicloud_fgs_function_trigger.server_deleted_cts[0].event_data) == { name = "evs_detach_server_deleted", operations = ["ECS:ecs:deleteServer"] }
    error_message = "Only deletions of servers may start the function."
  }

  assert {
    condition     = length(huaweicloud_cts_notification.server_deleted) + length(huaweicloud_fgs_function_trigger.server_deleted_smn) == 0
    error_message = "A deletion must not arrive twice."
  }
}

run "api" {
  variables {
    api = { instance_id = "instance", group_id = "group", environment_id = "environment" }
  }

  assert {
    condition     = huaweicloud_apig_api.detach[0].security_authentication == "IAM"
    error_message = "The gateway must check callers."
  }

  assert {
    condition     = huaweicloud_apig_api.detach[0].type == "Private" && huaweicloud_apig_api.detach[0].request_protocol == "HTTPS" && huaweicloud_apig_api.detach[0].request_method == "POST"
    error_message = "The API takes POST over HTTPS, and is private unless said otherwise."
  }

  assert {
    condition     = huaweicloud_apig_api.detach[0].func_graph[0].function_urn == huaweicloud_fgs_function.this.urn && huaweicloud_apig_api.detach[0].func_graph[0].timeout > huaweicloud_fgs_function.this.timeout * 1000
    error_message = "The gateway must wait for the function's own answer."
  }

  assert {
    condition     = huaweicloud_apig_api_publishment.detach[0].env_id == "environment" && huaweicloud_apig_api_publishment.detach[0].api_id == huaweicloud_apig_api.detach[0].id
    error_message = "The API must be published."
  }

  assert {
    condition     = output.settings.DETACH_INVOKE_AUTH == "bearer" && output.settings.DETACH_INVOKE_SECRET == "csms:evs-detach-callers" && output.caller_keys == "evs-detach-callers"
    error_message = "Any account passes the gateway's IAM: callers need a key, too."
  }

  assert {
    condition     = huaweicloud_csms_secret.caller_keys[0].secret_text == "{}"
    error_message = "Terraform must not know the keys."
  }

  assert {
    condition = [for statement in output.policy.Statement : statement if try(statement.Resource, null) != null] == [
      { Effect = "Allow", Action = ["csms:secret:get"], Resource = ["CSMS:*:*:secretName:evs-detach-callers"] },
      { Effect = "Allow", Action = ["csms:secretVersion:get"], Resource = ["CSMS:*:*:secretName:evs-detach-callers"] },
      { Effect = "Allow", Action = ["kms:dek:decrypt"], Resource = ["KMS:*:*:KeyId:${huaweicloud_csms_secret.caller_keys[0].kms_key_id}"] },
    ]
    error_message = "The function may read the callers' keys, and no other secret."
  }

  assert {
    condition     = output.api == "POST /detach"
    error_message = "The output must say how to call it."
  }
}

run "public_api" {
  variables {
    api = { instance_id = "instance", group_id = "group", environment_id = "environment", path = "/volumes/detach", public = true }
  }

  assert {
    condition     = huaweicloud_apig_api.detach[0].type == "Public" && huaweicloud_apig_api.detach[0].request_path == "/volumes/detach" && huaweicloud_apig_api.detach[0].security_authentication == "IAM"
    error_message = "A public API has IAM authentication too."
  }
}

run "no_api" {
  assert {
    condition     = output.settings.DETACH_INVOKE_AUTH == "platform" && !contains(keys(output.settings), "DETACH_INVOKE_SECRET") && output.caller_keys == null
    error_message = "Without an API every caller is FunctionGraph's: no key is made."
  }
}

run "api_with_keys_that_exist" {
  variables {
    api         = { instance_id = "instance", group_id = "group", environment_id = "environment" }
    caller_keys = { name = "ours", create = false, kms_key_id = "key-1" }
    csms_secret = { name = "token", kms_key_id = "key-2" }
  }

  assert {
    condition     = output.settings.DETACH_INVOKE_SECRET == "csms:ours" && output.caller_keys == null
    error_message = "Keys that exist must be used."
  }

  assert {
    condition     = toset(flatten([for statement in output.policy.Statement : try(statement.Resource, [])])) == toset(["CSMS:*:*:secretName:ours", "CSMS:*:*:secretName:token", "KMS:*:*:KeyId:key-1", "KMS:*:*:KeyId:key-2"])
    error_message = "Both secrets, and their keys, may be read."
  }
}
