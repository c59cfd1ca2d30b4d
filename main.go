// Command siemd is an agent for SIEMs: it takes events from files, HTTP and
// stdin into a durable log and delivers them to every SIEM that wants them.
//
// To build one with plugins of your own, copy this file and add their imports.
package main

import (
	"os"

	"github.com/adrian207/siemd/agent/cli"

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

func main() { os.Exit(cli.Main(os.Args[1:])) }
