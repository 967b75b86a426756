# Publishes the function through a gateway that only your networks reach. Its callers sign as IAM users and send a key of
# their own besides; until keys are stored in the secret that is made here, each is turned away.
module "evs_detach" {
  source = "../.."

  region       = var.region
  package_file = var.package_file
  runtime      = var.runtime
  timeout      = 60

  api = {
    instance_id    = var.gateway.instance_id
    group_id       = var.gateway.group_id
    environment_id = var.gateway.environment_id
    public         = false
  }

  caller_keys   = { name = "evs-detach-callers" }
  subscriptions = [{ protocol = "email", endpoint = var.email }]
  alarms        = { user_name = var.user_name, clearings = 50, daily_sweep = false }
}
