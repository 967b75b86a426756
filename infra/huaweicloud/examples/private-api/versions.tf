terraform {
  required_version = ">= 1.9"

  required_providers {
    huaweicloud = {
      source  = "huaweicloud/huaweicloud"
      version = ">= 1.97, < 2"
    }
  }
}

# Credentials come from the environment: HW_ACCESS_KEY, HW_SECRET_KEY.
provider "huaweicloud" {
  region = var.region
}
