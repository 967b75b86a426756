# The code's agency: what the calls need and nothing more, in one project.

mock_provider "huaweicloud" {}

variables {
  region       = "ap-southeast-3"
  package_file = "./tests/empty.zip"
}

run "one_project" {
  assert {
    condition     = one(huaweicloud_identity_agency.code[0].project_role).project == "ap-southeast-3" && one(huaweicloud_identity_agency.code[0].project_role).roles == toset(["evs-detach-code"])
    error_message = "The agency must have one role, in the region's own project."
  }

  assert {
    condition     = huaweicloud_identity_agency.code[0].domain_roles == null && huaweicloud_identity_agency.code[0].all_resources_roles == null
    error_message = "The agency must have nothing outside of the project."
  }

  assert {
    condition     = huaweicloud_identity_agency.code[0].delegated_service_name == "op_svc_cff"
    error_message = "The agency must trust FunctionGraph and nobody else."
  }

  assert {
    condition     = jsondecode(huaweicloud_identity_role.code[0].policy) == jsondecode(jsonencode(output.policy))
    error_message = "The output must be the policy."
  }

  assert {
    condition     = alltrue([for statement in output.policy.Statement : alltrue([for action in statement.Action : !strcontains(action, "*")])])
    error_message = "No action may be a pattern."
  }

  assert {
    condition     = length(setintersection(flatten(output.policy.Statement[*].Action), ["csms:secret:get", "csms:secretVersion:get", "kms:dek:decrypt", "ecs:serverVolumeAttachments:list"])) == 0
    error_message = "No secret store and no wider check: none of their actions."
  }

  assert {
    condition     = length(setsubtract(["evs:volumes:get", "evs:volumes:list", "evs:volumes:detach", "ecs:servers:get", "ecs:servers:list"], flatten(output.policy.Statement[*].Action))) == 0
    error_message = "The five actions of the rule and the sweep must be there."
  }

  assert {
    condition     = flatten(jsondecode(huaweicloud_identity_role.platform[0].policy).Statement[*].Action) == ["smn:topic:publish"]
    error_message = "The platform may publish failures, nothing more."
  }

  assert {
    condition     = jsondecode(huaweicloud_identity_role.platform[0].policy).Statement[*].Resource == [["SMN:*:*:topic:evs-detach-failures", "SMN:*:*:topic:${huaweicloud_smn_topic.failures.topic_urn}"]]
    error_message = "The platform may publish to the one topic of failures."
  }
}

run "project_by_name" {
  variables {
    project_name = "ap-southeast-3_storage"
  }

  assert {
    condition     = one(huaweicloud_identity_agency.code[0].project_role).project == "ap-southeast-3_storage" && one(huaweicloud_identity_agency.platform[0].project_role).project == "ap-southeast-3_storage"
    error_message = "The agencies must be limited to the named project."
  }
}

run "without_a_compute_api" {
  variables {
    server_check = "off"
  }

  assert {
    condition     = toset(flatten(output.policy.Statement[*].Action)) == toset(["evs:volumes:get", "evs:volumes:list", "evs:volumes:detach"])
    error_message = "Without the server check the disks' actions are enough."
  }
}

run "live" {
  variables {
    live = "on"
  }

  assert {
    condition     = output.settings.DETACH_LIVE == "on" && length(setsubtract(["ecs:cloudServers:detachVolume", "ecs:serverVolumeAttachments:delete"], flatten(output.policy.Statement[*].Action))) == 0
    error_message = "A live server's disk needs the compute service's own actions."
  }

  assert {
    condition     = !contains(flatten(output.policy.Statement[*].Action), "evs:volumes:attach")
    error_message = "What only recover needs must not be there."
  }
}

run "recover" {
  variables {
    recover = "unlisted"
  }

  assert {
    condition     = output.settings.DETACH_RECOVER == "unlisted" && contains(flatten(output.policy.Statement[*].Action), "evs:volumes:attach")
    error_message = "A reservation is taken back by the action of attaching."
  }

  assert {
    condition     = length(setintersection(flatten(output.policy.Statement[*].Action), ["ecs:cloudServers:detachVolume", "ecs:serverVolumeAttachments:delete"])) == 0
    error_message = "What only live needs must not be there."
  }
}

run "wider_check" {
  variables {
    server_check = "not-held"
  }

  assert {
    condition     = contains(flatten(output.policy.Statement[*].Action), "ecs:serverVolumeAttachments:list")
    error_message = "The check not-held lists a server's volumes."
  }
}

run "existing_agencies" {
  variables {
    agencies = { code = "ours", platform = "theirs" }
  }

  assert {
    condition     = huaweicloud_fgs_function.this.app_agency == "ours" && huaweicloud_fgs_function.this.agency == "theirs"
    error_message = "Existing agencies must be used."
  }

  assert {
    condition     = length(huaweicloud_identity_agency.code) + length(huaweicloud_identity_role.code) + length(huaweicloud_identity_agency.platform) + length(huaweicloud_identity_role.platform) == 0
    error_message = "With existing agencies none is made."
  }
}

run "read_only" {
  variables {
    read_only = true
  }

  assert {
    condition     = !contains(flatten(output.policy.Statement[*].Action), "evs:volumes:detach") && contains(flatten(output.policy.Statement[*].Action), "evs:volumes:get")
    error_message = "Without the permission to clear, looking must still be allowed."
  }
}
