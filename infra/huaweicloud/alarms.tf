# What the log says that somebody has to hear of. LTS splits a line into words at spaces, quotes, colons and commas and
# finds each word in upper and lower case as it is written (LTS user guide, "Using Search Syntax"); every word that is
# looked for here is a name of the log's own (docs/operating.md, "Logs").
locals {
  # the codes that a sweep as a whole can end with
  failures = [
    "sweep_refused", "configuration", "secret_unavailable", "token_rejected", "permission_denied", "upstream_rejected",
    "throttled", "upstream_unavailable", "listing_failed", "deadline_exceeded", "internal", "server_unknown",
  ]

  alarms = var.alarms == null ? {} : merge(
    {
      mend = {
        level = "CRITICAL", words = "ERROR and not INFO and not WARNING", condition = ">=", number = 1, minutes = 10
        says  = "Ended so until somebody mends it"
      }
      refused = {
        level = "MAJOR", words = "sweep_refused", condition = ">=", number = 1, minutes = 10
        says  = "A sweep was refused: too much looks orphaned"
      }
      clearings = {
        level = "MAJOR", words = "changing and attachment_id", condition = ">", number = var.alarms.clearings, minutes = 60
        says  = "More records were cleared in an hour than expected"
      }
      # once at each start of an instance, so about daily where something runs daily
      ends = {
        level = "MINOR", words = "secret_ends and WARNING", condition = ">=", number = 1, minutes = 60
        says  = "A secret ends within 14 days"
      }
    },
    # The one line of a sweep without the code of a failure as a whole, in none of three looks at the last 24 hours, an
    # hour apart each: for 26 hours. The service can't look back farther at once.
    var.alarms.daily_sweep ? {
      quiet = {
        level = "MAJOR", words = join(" and not ", concat(["over_limit"], local.failures)), condition = "<", number = 1, minutes = 1440
        says  = "No sweep ended well for 26 hours"
      }
    } : {},
  )
}

resource "huaweicloud_smn_topic" "alarms" {
  count = var.alarms == null ? 0 : 1

  region       = var.region
  name         = "${var.name}-alarms"
  display_name = "${var.name}: what its log says that somebody has to hear of"
  tags         = local.tags
}

resource "huaweicloud_lts_keywords_alarm_rule" "this" {
  for_each = local.alarms

  region      = var.region
  name        = "${var.name}-${each.key}"
  description = each.value.says
  alarm_level = each.value.level

  keywords_requests {
    log_group_id           = huaweicloud_lts_group.logs.id
    log_group_name         = huaweicloud_lts_group.logs.group_name
    log_stream_id          = huaweicloud_lts_stream.logs.id
    log_stream_name        = huaweicloud_lts_stream.logs.stream_name
    keywords               = each.value.words
    condition              = each.value.condition
    number                 = each.value.number
    search_time_range      = each.value.minutes > 60 ? each.value.minutes / 60 : each.value.minutes
    search_time_range_unit = each.value.minutes > 60 ? "hour" : "minute"
  }

  frequency {
    type            = "FIXED_RATE"
    fixed_rate      = each.value.minutes > 60 ? 1 : 5
    fixed_rate_unit = each.value.minutes > 60 ? "hour" : "minute"
  }

  trigger_condition_count     = each.value.minutes > 60 ? 3 : 1
  trigger_condition_frequency = each.value.minutes > 60 ? 3 : 1

  send_notifications          = true
  notification_frequency      = 60 # minutes until what goes on is said again
  send_recovery_notifications = true

  notification_save_rule {
    template_name = "keywords_template" # the service's own
    user_name     = var.alarms.user_name
    language      = "en-us"

    topics {
      name      = huaweicloud_smn_topic.alarms[0].name
      topic_urn = huaweicloud_smn_topic.alarms[0].topic_urn
    }
  }
}

locals {
  topics = var.alarms == null ? ["failures"] : ["failures", "alarms"]
  woken = {
    for pair in setproduct(local.topics, var.subscriptions) :
    "${pair[0]} ${pair[1].protocol} ${pair[1].endpoint}" => { topic = pair[0], protocol = pair[1].protocol, endpoint = pair[1].endpoint }
  }
}

# Each has to be confirmed by whoever it reaches, once: until then nothing is sent there.
resource "huaweicloud_smn_subscription" "this" {
  for_each = local.woken

  region    = var.region
  topic_urn = each.value.topic == "failures" ? huaweicloud_smn_topic.failures.topic_urn : huaweicloud_smn_topic.alarms[0].topic_urn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
  remark    = "${var.name}: ${each.value.topic}"
}
