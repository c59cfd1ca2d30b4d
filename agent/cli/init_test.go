package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/internal/config"
)

func TestInitGolden(t *testing.T) {
	f := func(name string, args ...string) {
		t.Helper()
		r := siemd(t, "", append([]string{"init", "--file", "-"}, args...)...).want(t, exitOK)
		golden(t, "init/"+name+".yaml", r.out)
		conf := tempFile(t, "siemd.yaml", r.out)
		siemd(t, "", "check", "--no-secrets", conf).want(t, exitOK)
		siemd(t, "", "explain", "--no-secrets", "-c", conf, "{}").want(t, exitOK)
	}
	f("tail-splunk", "tail", "/var/log/apps/*.jsonl", "/var/log/it's {odd}/${x}.jsonl", "to", "splunk", "https://splunk.example.com:8088")
	f("http-many", "http", "0.0.0.0:8088", "to", "elastic", "https://es.example.com:9200", "to", "syslog", "siem.example.com:6514", "to", "syslog", "other.example.com",
		"to", "qradar", "qradar.example.com:514", "to", "cef", "cef.example.com:514")
	f("stdin-rest", "--data-dir", "/srv/siemd data", "--", "stdin", "to", "file", "/var/log/siemd/out.jsonl", "to", "exec", "/opt/c.py", "--table", "a b", "to", "http", "https://api.example.com/in")
	f("nothing", "to", "leef", "q.example.com")
}

func TestInit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	siemd(t, "", "init", "tail", "/a/*.jsonl", "to", "splunk", "https://h.example.com:8088", "--file", path).want(t, exitOK,
		path+" is written", "put the secret of splunk into /etc/siemd/splunk.token", "siemd test splunk --local -c "+path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	siemd(t, "", "init", "stdin", "--file", path).want(t, exitCannotMake, "--force")
	siemd(t, "", "init", "stdin", "--file", path, "--force").want(t, exitOK)
	cfg, problems := config.Load(path, config.Options{})
	if cfg == nil || len(cfg.Inputs) != 1 || cfg.Inputs["stdin"] == nil {
		t.Errorf("%v", problems)
	}
	siemd(t, "", "init", "stdin", "--file", "/nonexistent/dir/siemd.yaml").want(t, exitCannotMake, "no such file")
	siemd(t, "", "init", "tial", "/x").want(t, exitUsage, `did you mean "tail"`)
	siemd(t, "", "init", "tail").want(t, exitUsage, "tail needs a path")
	siemd(t, "", "init", "http").want(t, exitUsage, "needs an address")
	siemd(t, "", "init", "stdin", "x").want(t, exitUsage, "no arguments")
	siemd(t, "", "init", "stdin", "to").want(t, exitUsage, "behind to stands")
	siemd(t, "", "init", "stdin", "to", "splnk", "https://x").want(t, exitUsage, `did you mean "splunk"`)
	siemd(t, "", "init", "stdin", "to", "splunk").want(t, exitUsage, "needs one endpoint")
	siemd(t, "", "init", "--file", "-", "stdin", "to", "splunk", "h.example.com:8088").want(t, exitUsage, "has no scheme", "write https://h.example.com:8088", "nothing is written")
}

func TestInitAsks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "siemd.yaml")
	r := siemd(t, "fiels\ntail\n/a/*.jsonl /b/*.jsonl\nsplnk\nsplunk\n\nyes\nelastic\nhttps://es.example.com:9200\n\n", "init", "--file", path).want(t, exitOK,
		"Where do events come from?", `there is no type of input "fiels"`, `did you mean "splunk"`)
	if strings.Contains(r.out, "Where do events") {
		t.Error("questions belong on stderr")
	}
	cfg, problems := config.Load(path, config.Options{NoSecrets: true})
	if cfg == nil || len(cfg.Inputs) != 1 || len(cfg.Outputs) != 2 || cfg.Outputs["elastic"] == nil {
		t.Errorf("%v", problems)
	}
	siemd(t, "\n\nnone\n", "init", "--file", "-").want(t, exitOK, "outputs: {}", "/var/log/apps/*.jsonl")
	siemd(t, "", "init", "--file", "-").want(t, exitUsage, "no answers")
}
