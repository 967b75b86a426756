# Who hears of what, and what for.

mock_provider "huaweicloud" {}

variables {
  region        = "ap-southeast-3"
  package_file  = "./tests/empty.zip"
  subscriptions = [{ protocol = "email", endpoint = "ops@example.com" }, { protocol = "sms", endpoint = "+4915100000000" }]
}

run "failures_only" {
  assert {
    condition     = length(huaweicloud_lts_keywords_alarm_rule.this) == 0 && length(huaweicloud_smn_topic.alarms) == 0 && output.alarm_topic_urn == null
    error_message = "Without alarms there must be none."
  }

  assert {
    condition     = toset([for each in huaweicloud_smn_subscription.this : [each.topic_urn, each.protocol]]) == toset([[huaweicloud_smn_topic.failures.topic_urn, "email"], [huaweicloud_smn_topic.failures.topic_urn, "sms"]])
    error_message = "Each must be subscribed to the failures."
  }
}

run "all_alarms" {
  variables {
    schedule = { rate = "24h" }
    alarms   = { user_name = "ops", clearings = 7 }
  }

  assert {
    condition     = toset(keys(huaweicloud_lts_keywords_alarm_rule.this)) == toset(["mend", "refused", "clearings", "ends", "quiet"])
    error_message = "There must be an alarm for each."
  }

  assert {
    condition     = alltrue([for each in huaweicloud_lts_keywords_alarm_rule.this : each.send_notifications && one(one(each.notification_save_rule).topics).topic_urn == huaweicloud_smn_topic.alarms[0].topic_urn])
    error_message = "Each must be sent to the alarms' topic."
  }

  assert {
    condition     = alltrue([for each in huaweicloud_lts_keywords_alarm_rule.this : one(each.keywords_requests).log_stream_id == huaweicloud_lts_stream.logs.id])
    error_message = "Each must look at the function's own log."
  }

  assert {
    condition     = one(huaweicloud_lts_keywords_alarm_rule.this["clearings"].keywords_requests).number == 7 && one(huaweicloud_lts_keywords_alarm_rule.this["clearings"].keywords_requests).condition == ">"
    error_message = "The number of clearings must be the one that is given."
  }

  assert {
    condition = (
      one(huaweicloud_lts_keywords_alarm_rule.this["quiet"].keywords_requests).search_time_range == 24
      && one(huaweicloud_lts_keywords_alarm_rule.this["quiet"].keywords_requests).search_time_range_unit == "hour"
      && one(huaweicloud_lts_keywords_alarm_rule.this["quiet"].frequency).fixed_rate_unit == "hour"
      && huaweicloud_lts_keywords_alarm_rule.this["quiet"].trigger_condition_count == 3
    )
    error_message = "Three looks back at 24 hours, an hour apart, make 26 hours."
  }

  assert {
    condition     = alltrue([for each in huaweicloud_lts_keywords_alarm_rule.this : one(each.keywords_requests).search_time_range >= 1 && one(each.keywords_requests).search_time_range <= (one(each.keywords_requests).search_time_range_unit == "hour" ? 24 : 60)])
    error_message = "The service looks back 60 minutes or 24 hours at most."
  }

  assert {
    condition     = length(huaweicloud_smn_subscription.this) == 4 && length([for each in huaweicloud_smn_subscription.this : each if each.topic_urn == huaweicloud_smn_topic.alarms[0].topic_urn]) == 2
    error_message = "Each must be subscribed to failures and to alarms."
  }
}

run "no_schedule_to_miss" {
  variables {
    alarms = { user_name = "ops", daily_sweep = false }
  }

  assert {
    condition     = !contains(keys(huaweicloud_lts_keywords_alarm_rule.this), "quiet")
    error_message = "Where nothing sweeps daily nothing is missed."
  }
}
