terraform {
  # 1.9: a variable's validation may look at another variable
  required_version = ">= 1.9"

  required_providers {
    huaweicloud = {
      source  = "huaweicloud/huaweicloud"
      version = ">= 1.97, < 2"
    }
  }
}
