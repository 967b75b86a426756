# Looks through the project on a schedule and says in its log what it would clear. It clears nothing,
# and could not: its agency lacks the permission.
module "evs_detach" {
  source = "../.."

  name         = "evs-detach-dry-run"
  region       = var.region
  package_file = var.package_file
  runtime      = var.runtime
  schedule     = { rate = var.rate }
  sweep        = { dry_run = true }
  read_only    = true
}
