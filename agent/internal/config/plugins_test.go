package config_test

import (
	_ "github.com/adrian207/siemd/inputs/http"
	_ "github.com/adrian207/siemd/inputs/stdin"
	_ "github.com/adrian207/siemd/inputs/tail"
	_ "github.com/adrian207/siemd/outputs/elastic"
	_ "github.com/adrian207/siemd/outputs/exec"
	_ "github.com/adrian207/siemd/outputs/file"
	_ "github.com/adrian207/siemd/outputs/http"
	_ "github.com/adrian207/siemd/outputs/splunk"
	_ "github.com/adrian207/siemd/outputs/syslog"
)
