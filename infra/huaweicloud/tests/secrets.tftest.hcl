# Secrets stay out of Terraform; what is private is at least hidden and encrypted.

mock_provider "huaweicloud" {}

variables {
  region       = "ap-southeast-3"
  package_file = "./tests/empty.zip"
}

run "secret_is_made_empty" {
  variables {
    csms_secret = { name = "evs-detach-token", kms_key_id = "key-1" }
  }

  assert {
    condition     = huaweicloud_csms_secret.token[0].secret_text == "{}"
    error_message = "Terraform must not know the secret's value."
  }

  assert {
    condition     = output.settings.DETACH_TOKEN_SECRET == "csms:evs-detach-token" && output.csms_secret == "evs-detach-token"
    error_message = "The function must be told the secret's name."
  }

  assert {
    condition = [for statement in output.policy.Statement : statement if try(statement.Resource, null) != null] == [
      { Effect = "Allow", Action = ["csms:secret:get"], Resource = ["CSMS:*:*:secretName:evs-detach-token"] },
      { Effect = "Allow", Action = ["csms:secretVersion:get"], Resource = ["CSMS:*:*:secretName:evs-detach-token"] },
      { Effect = "Allow", Action = ["kms:dek:decrypt"], Resource = ["KMS:*:*:KeyId:key-1"] },
    ]
    error_message = "Reading is limited to this one secret, decrypting to its key."
  }
}

run "secret_with_the_service_s_own_key" {
  variables {
    csms_secret = { name = "evs-detach-token" }
  }

  assert {
    condition     = output.policy.Statement[3].Resource == ["KMS:*:*:KeyId:${huaweicloud_csms_secret.token[0].kms_key_id}"]
    error_message = "Decrypting is limited to the key that the service chose."
  }
}

run "existing_secret" {
  variables {
    csms_secret = { name = "shared", create = false, kms_key_id = "key-2" }
  }

  assert {
    condition     = length(huaweicloud_csms_secret.token) == 0 && output.csms_secret == null
    error_message = "An existing secret is not made."
  }

  assert {
    condition     = toset(flatten([for statement in output.policy.Statement : try(statement.Resource, [])])) == toset(["CSMS:*:*:secretName:shared", "KMS:*:*:KeyId:key-2"])
    error_message = "An existing secret may be read."
  }
}

run "private_settings" {
  variables {
    private_settings = { DETACH_VOLUME_ENDPOINT = "https://volume.internal.example/v3" }
  }

  assert {
    condition     = issensitive(huaweicloud_fgs_function.this.encrypted_user_data)
    error_message = "Private settings must be hidden in plans."
  }

  assert {
    condition     = nonsensitive(jsondecode(huaweicloud_fgs_function.this.encrypted_user_data).DETACH_VOLUME_ENDPOINT) == "https://volume.internal.example/v3"
    error_message = "Private settings must arrive, encrypted."
  }

  assert {
    condition     = !strcontains(huaweicloud_fgs_function.this.user_data, "internal.example") && !strcontains(jsonencode(output.settings), "internal.example")
    error_message = "Private settings must be neither in the open settings nor in an output."
  }
}
