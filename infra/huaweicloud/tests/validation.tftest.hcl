# Every validation refuses what it is for, before anything is asked of the cloud.

mock_provider "huaweicloud" {}

variables {
  region       = "ap-southeast-3"
  package_file = "./tests/empty.zip"
}

run "name_with_a_space" {
  command = plan

  variables {
    name = "evs detach"
  }

  expect_failures = [var.name]
}

run "name_that_ends_with_a_hyphen" {
  command = plan

  variables {
    name = "evs-detach-"
  }

  expect_failures = [var.name]
}

run "region_by_its_title" {
  command = plan

  variables {
    region = "Dublin"
  }

  expect_failures = [var.region]
}

run "project_id_for_a_name" {
  command = plan

  variables {
    project_id = "ap-southeast-3"
  }

  expect_failures = [var.project_id]
}

run "project_name_with_a_space" {
  command = plan

  variables {
    project_name = "my project"
  }

  expect_failures = [var.project_name]
}

run "neither_zip_nor_image" {
  command = plan

  variables {
    package_file = null
  }

  expect_failures = [var.package_file]
}

run "zip_and_image" {
  command = plan

  variables {
    image = { url = "swr.example.com/a/b:1.0" }
  }

  expect_failures = [var.package_file]
}

run "package_that_is_no_zip" {
  command = plan

  variables {
    package_file = "./main.tf"
  }

  expect_failures = [var.package_file]
}

run "image_from_elsewhere" {
  command = plan

  variables {
    package_file = null
    image        = { url = "docker.example.com/a/b:1.0" }
  }

  expect_failures = [var.image]
}

run "image_without_a_tag" {
  command = plan

  variables {
    package_file = null
    image        = { url = "swr.example.com/a/b" }
  }

  expect_failures = [var.image]
}

run "image_by_latest" {
  command = plan

  variables {
    package_file = null
    image        = { url = "swr.example.com/a/b:latest" }
  }

  expect_failures = [var.image]
}

run "old_python" {
  command = plan

  variables {
    runtime = "Python2.7"
  }

  expect_failures = [var.runtime]
}

run "odd_memory" {
  command = plan

  variables {
    memory_size = 300
  }

  expect_failures = [var.memory_size]
}

run "no_time" {
  command = plan

  variables {
    timeout = 10
  }

  expect_failures = [var.timeout]
}

run "half_a_second" {
  command = plan

  variables {
    timeout = 15.5
  }

  expect_failures = [var.timeout]
}

run "no_instances" {
  command = plan

  variables {
    max_instances = 0
  }

  expect_failures = [var.max_instances]
}

run "unknown_server_check" {
  command = plan

  variables {
    server_check = "maybe"
  }

  expect_failures = [var.server_check]
}

run "unknown_word_for_live" {
  command = plan

  variables {
    live = "admin"
  }

  expect_failures = [var.live]
}

run "live_without_a_server_check" {
  command = plan

  variables {
    live         = "on"
    server_check = "off"
  }

  expect_failures = [var.live]
}

run "unknown_word_for_recover" {
  command = plan

  variables {
    recover = "yes"
  }

  expect_failures = [var.recover]
}

run "sweep_without_limit" {
  command = plan

  variables {
    sweep = { limit = 0 }
  }

  expect_failures = [var.sweep]
}

run "sweep_of_negative_age" {
  command = plan

  variables {
    sweep = { min_age_seconds = -1 }
  }

  expect_failures = [var.sweep]
}

run "sweep_of_more_than_all" {
  command = plan

  variables {
    sweep = { max_fraction = 1.5 }
  }

  expect_failures = [var.sweep]
}

run "schedule_without_a_time" {
  command = plan

  variables {
    schedule = {}
  }

  expect_failures = [var.schedule]
}

run "schedule_with_two_times" {
  command = plan

  variables {
    schedule = { rate = "1h", cron = "0 0 3 * * ?" }
  }

  expect_failures = [var.schedule]
}

run "rate_that_the_service_refuses" {
  command = plan

  variables {
    schedule = { rate = "90m" }
  }

  expect_failures = [var.schedule]
}

run "cron_of_five_fields" {
  command = plan

  variables {
    schedule = { cron = "*/15 * * * *" }
  }

  expect_failures = [var.schedule]
}

run "cron_of_every_second" {
  command = plan

  variables {
    schedule = { cron = "* * * * * ?" }
  }

  expect_failures = [var.schedule]
}

run "unknown_way" {
  command = plan

  variables {
    on_server_deleted = "eventgrid"
  }

  expect_failures = [var.on_server_deleted]
}

run "path_without_a_slash" {
  command = plan

  variables {
    api = { instance_id = "i", group_id = "g", environment_id = "e", path = "detach" }
  }

  expect_failures = [var.api]
}

run "timeout_that_no_gateway_waits_for" {
  command = plan

  variables {
    timeout = 900
    api     = { instance_id = "i", group_id = "g", environment_id = "e" }
  }

  expect_failures = [var.api]
}

run "secret_name_with_a_slash" {
  command = plan

  variables {
    csms_secret = { name = "a/b" }
  }

  expect_failures = [var.csms_secret]
}

run "existing_secret_without_its_key" {
  command = plan

  variables {
    csms_secret = { name = "shared", create = false }
  }

  expect_failures = [var.csms_secret]
}

run "unknown_setting" {
  command = plan

  variables {
    settings = { PATH = "/tmp" }
  }

  expect_failures = [var.settings]
}

run "token_as_a_setting" {
  command = plan

  variables {
    settings = { VAULT_TOKEN = "planted" }
  }

  expect_failures = [var.settings]
}

run "misspelt_setting" {
  command = plan

  variables {
    settings = { DETACH_LOG_LEVELS = "DEBUG" }
  }

  expect_failures = [var.settings]
}

run "setting_in_both_places" {
  command = plan

  variables {
    settings         = { DETACH_VOLUME_ENDPOINT = "https://evs.example.com/v2" }
    private_settings = { DETACH_VOLUME_ENDPOINT = "https://evs.example.com/v2" }
  }

  expect_failures = [var.settings]
}

run "setting_with_a_variable_of_its_own" {
  command = plan

  variables {
    settings = { DETACH_SWEEP_DRY_RUN = "false" }
  }

  expect_failures = [var.settings]
}

run "secret_as_a_private_setting" {
  command = plan

  variables {
    private_settings = { VAULT_TOKEN = "planted" }
  }

  expect_failures = [var.private_settings]
}

run "other_private_setting" {
  command = plan

  variables {
    private_settings = { DETACH_TOKEN_SECRET = "env:TOKEN" }
  }

  expect_failures = [var.private_settings]
}

run "kms_key_by_its_alias" {
  command = plan

  variables {
    kms_key_id = "alias"
  }

  expect_failures = [var.kms_key_id]
}

run "too_many_retries" {
  command = plan

  variables {
    retry = { attempts = 4 }
  }

  expect_failures = [var.retry]
}

run "retries_for_a_week" {
  command = plan

  variables {
    retry = { max_age_seconds = 604800 }
  }

  expect_failures = [var.retry]
}

run "logs_for_ever" {
  command = plan

  variables {
    log_retention_days = 0
  }

  expect_failures = [var.log_retention_days]
}

run "too_many_tags" {
  command = plan

  variables {
    tags = { for n in range(20) : "t${n}" => "x" }
  }

  expect_failures = [var.tags]
}

run "api_without_the_callers_keys" {
  command = plan

  variables {
    api         = { instance_id = "i", group_id = "g", environment_id = "e" }
    caller_keys = null
  }

  expect_failures = [var.api]
}

run "api_of_a_container" {
  command = plan

  variables {
    api          = { instance_id = "i", group_id = "g", environment_id = "e" }
    package_file = null
    image        = { url = "swr.ap-southeast-3.myhuaweicloud.com/ours/evs-detach:1.0.0" }
  }

  expect_failures = [var.api]
}

run "keys_whose_name_has_a_slash" {
  command = plan

  variables {
    caller_keys = { name = "a/b" }
  }

  expect_failures = [var.caller_keys]
}

run "keys_that_exist_without_their_key" {
  command = plan

  variables {
    caller_keys = { create = false }
  }

  expect_failures = [var.caller_keys]
}

run "keys_in_the_token_s_secret" {
  command = plan

  variables {
    caller_keys = { name = "same" }
    csms_secret = { name = "same" }
  }

  expect_failures = [var.caller_keys]
}

run "read_only_sweep_that_clears" {
  command = plan

  variables {
    read_only = true
    sweep     = { dry_run = false }
  }

  expect_failures = [var.read_only]
}

run "read_only_when_a_server_is_deleted" {
  command = plan

  variables {
    read_only         = true
    on_server_deleted = "cts"
  }

  expect_failures = [var.read_only]
}

run "subscription_in_the_clear" {
  command = plan

  variables {
    subscriptions = [{ protocol = "http", endpoint = "http://hook.example.com" }]
  }

  expect_failures = [var.subscriptions]
}

run "subscription_of_no_address" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops" }]
  }

  expect_failures = [var.subscriptions]
}

run "subscription_of_no_url" {
  command = plan

  variables {
    subscriptions = [{ protocol = "https", endpoint = "hook.example.com" }]
  }

  expect_failures = [var.subscriptions]
}

run "alarms_that_reach_nobody" {
  command = plan

  variables {
    schedule = { rate = "1d" }
    alarms   = { user_name = "ops" }
  }

  expect_failures = [var.alarms]
}

run "half_a_clearing" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    schedule      = { rate = "1d" }
    alarms        = { user_name = "ops", clearings = 0.5 }
  }

  expect_failures = [var.alarms]
}

run "daily_sweep_without_a_schedule" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    alarms        = { user_name = "ops" }
  }

  expect_failures = [var.alarms]
}

run "daily_sweep_each_week" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    schedule      = { rate = "7d" }
    alarms        = { user_name = "ops" }
  }

  expect_failures = [var.alarms]
}

run "daily_sweep_in_a_silent_log" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    schedule      = { rate = "1d" }
    alarms        = { user_name = "ops" }
    settings      = { DETACH_LOG_LEVEL = "warning" }
  }

  expect_failures = [var.alarms]
}

run "log_level_that_there_is_not" {
  command = plan

  variables {
    settings = { DETACH_LOG_LEVEL = "verbose" }
  }

  expect_failures = [var.settings]
}

run "log_level_in_any_case" {
  command = plan

  variables {
    settings = { DETACH_LOG_LEVEL = " Error " }
  }
}

run "alarms_in_a_log_without_warnings" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    alarms        = { user_name = "ops", daily_sweep = false }
    settings      = { DETACH_LOG_LEVEL = "error" }
  }

  expect_failures = [var.alarms]
}

run "alarms_in_a_log_of_warnings" {
  command = plan

  variables {
    subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }]
    alarms        = { user_name = "ops", daily_sweep = false }
    settings      = { DETACH_LOG_LEVEL = "warning" }
  }
}

run "runtime_of_another_package" {
  command = plan

  variables {
    package_file = "dist/evs-detach-functiongraph-py3.12.zip"
    runtime      = "Python3.10"
  }

  expect_failures = [var.runtime]
}

run "retry_that_is_always_too_late" {
  command = plan

  variables {
    retry = { attempts = 1, max_age_seconds = 120 }
  }

  expect_failures = [var.retry]
}
