# Clears a server's attachments when the trace service reports its deletion, and sweeps each night for what was missed;
# the sweep only reports until you let it clear. Whoever `email` names hears of what could not be settled, and of alarms.
module "evs_detach" {
  source = "../.."

  region            = var.region
  package_file      = var.package_file
  runtime           = var.runtime
  on_server_deleted = "smn"
  schedule          = { cron = "0 0 3 * * ?" }
  sweep             = { dry_run = var.sweep_dry_run }
  subscriptions     = [{ protocol = "email", endpoint = var.email }]
  alarms            = { user_name = var.user_name }
}
