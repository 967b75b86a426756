variable "name" {
  description = "Name of the function; what belongs to it is named after it."
  type        = string
  default     = "evs-detach"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,40}[A-Za-z0-9]$", var.name))
    error_message = "The name must be 2 to 42 letters, digits and hyphens, start with a letter and not end with a hyphen."
  }
}

variable "region" {
  description = "Region of the function and of the disks and servers that it looks at, for example ap-southeast-3."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,}-[a-z]+(-[a-z]+)?-[0-9]+$", var.region))
    error_message = "The region must look like ap-southeast-3."
  }
}

variable "project_name" {
  description = "Name of the IAM project that the agencies are limited to. By default the region's own project, which is named after it."
  type        = string
  default     = null

  validation {
    condition     = var.project_name == null || can(regex("^[A-Za-z0-9_-]{1,64}$", var.project_name))
    error_message = "The project's name must be 1 to 64 letters, digits, hyphens and underscores (a name, not an id: those are in project_id)."
  }
}

variable "project_id" {
  description = "Id of that project. By default the one that the function runs in."
  type        = string
  default     = null

  validation {
    condition     = var.project_id == null || can(regex("^[0-9a-f]{32}$", var.project_id))
    error_message = "The project's id must be 32 lower-case hex digits."
  }
}

variable "package_file" {
  description = "Path of the zip that `make package` made. Either this or image."
  type        = string
  default     = null

  validation {
    condition     = (var.package_file == null) != (var.image == null)
    error_message = "Give exactly one of package_file and image."
  }

  validation {
    condition     = var.package_file == null || can(regex("\\.zip$", var.package_file))
    error_message = "The package must be a .zip file."
  }
}

variable "image" {
  description = "Container image of infra/container instead of a zip: its SWR address, best by digest. private: FunctionGraph may need the system role SWR Admin to pull it; the vendor offers nothing finer. The role goes to the platform's agency, never to the code's."
  type = object({
    url     = string
    private = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.image == null || can(regex("^swr\\.[^@\\s]+(:[\\w.-]+|@sha256:[0-9a-f]{64})$", var.image.url))
    error_message = "The image's url must start with \"swr.\" and end with a tag or, better, a digest."
  }

  validation {
    condition     = var.image == null || !can(regex(":latest$", var.image.url))
    error_message = "The tag \"latest\" does not say what runs."
  }
}

variable "runtime" {
  description = "Python of the zip; must be the one that it was packed for. Not every region has 3.12."
  type        = string
  default     = "Python3.10"

  validation {
    condition     = contains(["Python3.10", "Python3.12"], var.runtime)
    error_message = "The runtime must be Python3.10 or Python3.12."
  }

  validation {
    condition     = try(regex("-py(3\\.[0-9]+)\\.zip$", var.package_file)[0], trimprefix(var.runtime, "Python")) == trimprefix(var.runtime, "Python")
    error_message = "The package's name says that it was packed for another Python than the runtime's."
  }
}

variable "memory_size" {
  description = "Memory in MB. 128 is enough for events and for sweeps of up to 100,000 volumes, 512 for a million."
  type        = number
  default     = 128

  validation {
    condition     = contains([128, 256, 512, 768, 1024, 1536, 2048, 4096], var.memory_size)
    error_message = "The memory must be one of 128, 256, 512, 768, 1024, 1536, 2048, 4096 MB."
  }
}

variable "timeout" {
  description = "Seconds that one invocation may take. A sweep stops in time and says that it is not complete."
  type        = number
  default     = 120

  validation {
    condition     = var.timeout >= 15 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "The timeout must be whole seconds from 15 to 900."
  }
}

variable "max_instances" {
  description = "How many instances may run at once, at most."
  type        = number
  default     = 5

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 100 && floor(var.max_instances) == var.max_instances
    error_message = "The number of instances must be whole and from 1 to 100."
  }
}

variable "server_check" {
  description = "What counts as proof that a server is gone (DETACH_SERVER_CHECK): gone, recorded, not-held, or off where there is no compute API. The agency gets only what the value needs."
  type        = string
  default     = "gone"

  validation {
    condition     = contains(["gone", "recorded", "not-held", "off"], var.server_check)
    error_message = "The server check must be one of gone, recorded, not-held, off."
  }
}

variable "live" {
  description = "Whether an event that says live may have a live server's disk detached (DETACH_LIVE): off or on. The agency gets what that needs only with on."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "on"], var.live) && !(var.live == "on" && var.server_check == "off")
    error_message = "live must be off or on, and off where server_check is off."
  }
}

variable "recover" {
  description = "Whether an event or a sweep that says recover may free stuck records (DETACH_RECOVER): off, on, or unlisted where the compute service can't tell that a part of it is down and you know that all is up. The agency gets what that needs only when it is not off."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "on", "unlisted"], var.recover) && !(var.recover != "off" && var.server_check == "off")
    error_message = "recover must be off, on or unlisted, and off where server_check is off."
  }
}

variable "read_only" {
  description = "Leave every permission that changes anything out of the agency: the function can look and report, and nothing else. Not with sweep.dry_run = false or on_server_deleted, which would ask for what it may not do."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.read_only || var.sweep.dry_run
    error_message = "With read_only a sweep can clear nothing: leave sweep.dry_run true, or each sweep ends in permission_denied."
  }

  validation {
    condition     = !var.read_only || var.on_server_deleted == null
    error_message = "With read_only nothing can be cleared: each event of on_server_deleted would end in permission_denied."
  }
}

variable "sweep" {
  description = "Bounds of every sweep (DETACH_SWEEP_*); an event can only be more careful. As long as dry_run is true a sweep clears nothing."
  type = object({
    dry_run         = optional(bool, true)
    limit           = optional(number, 20)
    min_age_seconds = optional(number, 900)
    max_fraction    = optional(number, 0.5)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.sweep.limit >= 1 && var.sweep.limit <= 1000 && floor(var.sweep.limit) == var.sweep.limit
    error_message = "The sweep's limit must be whole and from 1 to 1000."
  }

  validation {
    condition     = var.sweep.min_age_seconds >= 0 && floor(var.sweep.min_age_seconds) == var.sweep.min_age_seconds
    error_message = "The sweep's least age must be whole seconds, 0 or more."
  }

  validation {
    condition     = var.sweep.max_fraction > 0 && var.sweep.max_fraction <= 1
    error_message = "The sweep's greatest fraction must be over 0 and at most 1."
  }
}

variable "schedule" {
  description = "When to sweep; none by default. rate: 1m to 60m, 1h to 24h or 1d to 30d. cron: FunctionGraph's form, which starts with SECONDS, for example \"0 0 3 * * ?\" for three at night."
  type = object({
    rate = optional(string)
    cron = optional(string)
  })
  default = null

  validation {
    condition     = var.schedule == null || (try(var.schedule.rate, null) == null) != (try(var.schedule.cron, null) == null)
    error_message = "Give exactly one of rate and cron."
  }

  validation {
    condition     = try(var.schedule.rate, null) == null || can(regex("^([1-9]|[1-5][0-9]|60)m$|^([1-9]|1[0-9]|2[0-4])h$|^([1-9]|[12][0-9]|30)d$", var.schedule.rate))
    error_message = "The rate must be 1m to 60m, 1h to 24h or 1d to 30d."
  }

  validation {
    # five fields would be accepted by the service and read with the first as seconds: a sweep each few seconds
    condition     = try(var.schedule.cron, null) == null || can(regex("^[0-9]{1,2} [0-9*,/-]+ [0-9*,/-]+ [0-9*?,/-]+ [0-9A-Za-z*,/-]+ [0-9A-Za-z*?,/-]+$", var.schedule.cron))
    error_message = "The cron expression must have six fields, seconds (one number) first: \"0 0 3 * * ?\"."
  }
}

variable "on_server_deleted" {
  description = "Clear a server's attachments when the trace service (CTS) reports its deletion; off by default. smn: notification, topic, function. cts: FunctionGraph's own CTS trigger."
  type        = string
  default     = null

  validation {
    condition     = var.on_server_deleted == null || contains(["smn", "cts"], coalesce(var.on_server_deleted, "smn"))
    error_message = "Use smn or cts, or leave it null."
  }
}

variable "api" {
  description = "Publish the function through an API gateway (APIG), for callers with IAM authentication and a key of caller_keys; off by default, and only for the zip. Ids of a gateway instance, an API group in it and an environment. public: reachable from the internet if the gateway is."
  type = object({
    instance_id    = string
    group_id       = string
    environment_id = string
    path           = optional(string, "/detach")
    public         = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.api == null || can(regex("^/[A-Za-z0-9/_-]*$", var.api.path))
    error_message = "The path must start with a slash and hold letters, digits, slashes, hyphens and underscores only."
  }

  validation {
    condition     = var.api == null || var.timeout < 600
    error_message = "A gateway waits for 600 seconds at most; with an API the timeout must be less."
  }

  validation {
    condition     = var.api == null || var.caller_keys != null
    error_message = "The gateway's IAM authentication lets in any account of the platform: an API needs caller_keys."
  }

  validation {
    condition     = var.api == null || var.image == null
    error_message = "A container is called by the platform without a key, so it can't tell the API's callers from FunctionGraph's own triggers: use package_file with an API."
  }
}

variable "caller_keys" {
  description = "CSMS secret that holds the keys of the API's callers, which they send as Authorization: Bearer KEY. Made, empty, where there is an api; the keys are stored outside of Terraform, see README. With create = false its kms_key_id must be named. null is refused where there is an api."
  type = object({
    name       = optional(string, "evs-detach-callers")
    create     = optional(bool, true)
    kms_key_id = optional(string)
  })
  default = {}

  validation {
    condition     = var.caller_keys == null || can(regex("^[A-Za-z0-9_.-]{1,64}$", var.caller_keys.name))
    error_message = "The secret's name must be 1 to 64 letters, digits, hyphens, underscores and dots."
  }

  validation {
    condition     = var.caller_keys == null || try(var.caller_keys.create, true) || try(var.caller_keys.kms_key_id, null) != null
    error_message = "For a secret that exists, name the key that it is encrypted with: the agency may use that key only."
  }

  validation {
    condition     = try(var.caller_keys.name, null) == null || try(var.caller_keys.name, null) != try(var.csms_secret.name, "")
    error_message = "The callers' keys and what the token is issued for are different secrets."
  }
}

variable "csms_secret" {
  description = "CSMS secret that holds the token, or the credentials that one is issued for, when the agency's own token is not to be used (the default). create: make it, empty; the value is stored outside of Terraform, see README. With create = false its kms_key_id must be named."
  type = object({
    name       = string
    create     = optional(bool, true)
    kms_key_id = optional(string)
  })
  default = null

  validation {
    condition     = var.csms_secret == null || can(regex("^[A-Za-z0-9_.-]{1,64}$", var.csms_secret.name))
    error_message = "The secret's name must be 1 to 64 letters, digits, hyphens, underscores and dots."
  }

  validation {
    condition     = var.csms_secret == null || try(var.csms_secret.create, true) || try(var.csms_secret.kms_key_id, null) != null
    error_message = "For a secret that exists, name the key that it is encrypted with: the agency may use that key only."
  }
}

variable "settings" {
  description = "Further settings of the function, such as DETACH_LOG_LEVEL: those under settings and private in settings.json. Shown in plans."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.settings) : contains(local.known.variables, name) || contains(local.known.settings, name) || contains(local.known.private, name)])
    error_message = "Not a setting that can be given here: settings.json lists those that can, and why not the others."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), local.known.variables)) == 0
    error_message = "What a variable of its own sets must not be set here too."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), keys(var.private_settings))) == 0
    error_message = "A setting is given in settings or in private_settings, not in both."
  }

  validation {
    condition     = contains(["", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], upper(trimspace(lookup(var.settings, "DETACH_LOG_LEVEL", ""))))
    error_message = "DETACH_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL."
  }
}

variable "private_settings" {
  description = "The same, but stored encrypted and hidden in plans, for example an internal endpoint: those under private in settings.json. Not for tokens and passwords: those belong into a secret store, as the state holds what is given here."
  type        = map(string)
  default     = {}
  nullable    = false
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.private_settings) : contains(local.known.private, name)])
    error_message = "Only what settings.json lists under private (endpoints, hosts, where Vault is) can be a private setting; a token or password goes into a secret store."
  }
}

variable "kms_key_id" {
  description = "KMS key that encrypts the function's settings at rest. By default the service's own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_id == null || can(regex("^[0-9a-f-]{36}$", var.kms_key_id))
    error_message = "The key's id must be a UUID."
  }
}

variable "retry" {
  description = "What FunctionGraph does with an asynchronous event (schedule, server deletion) that failed and may be tried again: how often, and until what age in seconds. What is left goes to the failure topic."
  type = object({
    attempts        = optional(number, 3)
    max_age_seconds = optional(number, 3600)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains([0, 1, 2, 3], var.retry.attempts)
    error_message = "Attempts must be 0 to 3."
  }

  validation {
    condition     = var.retry.max_age_seconds >= 1 && var.retry.max_age_seconds <= 86400 && floor(var.retry.max_age_seconds) == var.retry.max_age_seconds
    error_message = "The greatest age must be whole seconds from 1 to 86400."
  }

  validation {
    condition     = var.retry.attempts == 0 || var.retry.max_age_seconds > var.timeout
    error_message = "An event that took the whole timeout would be too old to be tried again: the greatest age must be more than the timeout, or attempts 0."
  }
}

variable "subscriptions" {
  description = "Who hears of failures and alarms: each is subscribed to the failure topic and, where there are alarms, to theirs, and has to confirm it once. protocol: email, sms, https, functiongraph, dingding, wechat, feishu or welink; endpoint: the address, number or URL."
  type = list(object({
    protocol = string
    endpoint = string
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for each in var.subscriptions : contains(["email", "sms", "https", "functiongraph", "dingding", "wechat", "feishu", "welink"], each.protocol)])
    error_message = "The protocol must be one of email, sms, https, functiongraph, dingding, wechat, feishu, welink; http would show ids to whoever listens."
  }

  validation {
    condition     = alltrue([for each in var.subscriptions : each.protocol != "email" || can(regex("^[^@\\s]+@[^@\\s]+$", each.endpoint))])
    error_message = "An email's endpoint must be an address."
  }

  validation {
    condition     = alltrue([for each in var.subscriptions : !contains(["https", "dingding", "wechat", "feishu", "welink"], each.protocol) || startswith(each.endpoint, "https://")])
    error_message = "The endpoint of https, dingding, wechat, feishu and welink must start with https://."
  }
}

variable "alarms" {
  description = "Alarms on the function's log (LTS), sent to subscriptions: something is to be mended, a sweep was refused, more than clearings records were cleared in an hour, a secret ends within 14 days and, with daily_sweep, no sweep ended well for 26 hours. user_name: the IAM user in whose name LTS sends them. None by default."
  type = object({
    user_name   = string
    clearings   = optional(number, 20)
    daily_sweep = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.alarms == null || length(var.subscriptions) > 0
    error_message = "Without subscriptions the alarms reach nobody."
  }

  validation {
    condition     = try(var.alarms.clearings, 0) >= 0 && floor(try(var.alarms.clearings, 0)) == try(var.alarms.clearings, 0)
    error_message = "The number of clearings must be whole, 0 or more."
  }

  validation {
    condition     = !try(var.alarms.daily_sweep, false) || (var.schedule != null && !can(regex("^([2-9]|[12][0-9]|30)d$", var.schedule.rate)))
    error_message = "daily_sweep needs a schedule that sweeps each day or more often; with another, set it to false."
  }

  validation {
    condition     = var.alarms == null || !contains(["ERROR", "CRITICAL"], upper(trimspace(lookup(var.settings, "DETACH_LOG_LEVEL", ""))))
    error_message = "The alarms look for lines of level WARNING: with that DETACH_LOG_LEVEL there are none."
  }

  validation {
    condition     = !try(var.alarms.daily_sweep, false) || contains(["", "DEBUG", "INFO"], upper(trimspace(lookup(var.settings, "DETACH_LOG_LEVEL", ""))))
    error_message = "daily_sweep looks for the line of a good sweep, which is of level INFO: with that DETACH_LOG_LEVEL there is none."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 365 && floor(var.log_retention_days) == var.log_retention_days
    error_message = "Logs can be kept for 1 to 365 whole days."
  }
}

variable "agencies" {
  description = "Names of agencies that exist, instead of those made here. code: whose token the function uses; must allow what the output policy lists. platform: what FunctionGraph itself uses (failure topic, private image)."
  type = object({
    code     = optional(string)
    platform = optional(string)
  })
  default  = {}
  nullable = false
}

variable "tags" {
  description = "Tags of all that can have some."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.tags) <= 19
    error_message = "At most 19 tags: the service allows 20 and one is ours."
  }
}
