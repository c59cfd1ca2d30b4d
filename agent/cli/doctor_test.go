package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

func TestDoctor(t *testing.T) {
	a := startSiemd(t, `
inputs:
  files: {type: tail, paths: ["{dir}/logs/*.jsonl"]}
  web: {type: http, listen: `+plugintest.FreeAddr(t)+`}
wal: {max_size: 64MiB, min_free: 1MiB}
`)
	a.siemd("", "doctor").want(t, exitOK, "ok    config", "ok    agent", "data_dir", "disk", "inotify", "clock", "input files finds no file now")
	var report []finding
	if err := json.Unmarshal([]byte(a.siemd("", "doctor", "--json").want(t, exitOK).out), &report); err != nil || len(report) < 7 {
		t.Errorf("%v %v", err, report)
	}
	a.stop()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	a.write("data_dir: {dir}/state\napi: {listen: []}\ninputs: {web: {type: http, listen: '" + busy.Addr().String() + "'}}\nwal: {max_size: 1000TiB}\n")
	if err := os.Chmod(filepath.Join(filepath.Dir(a.conf), "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	a.siemd("", "doctor").want(t, exitFound, "warn  agent", "fail  port", "somebody else does", "chmod 0700", "the disk will be full before the log is")
	a.write("data_dir: {dir}/siemd.yaml\napi: {listen: []}\n")
	a.siemd("", "doctor").want(t, exitFound, "is no directory")
	a.write("data_dri: x\n")
	a.siemd("", "doctor").want(t, exitFound, "fail  config", "1 mistake", "siemd check")
}

func TestDoctorUnit(t *testing.T) {
	f := func(local, packaged, want string) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range map[string]string{"local": local, "packaged": packaged} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d := doctor{}
		d.unit(filepath.Join(dir, "local"), filepath.Join(dir, "packaged"))
		got := ""
		for _, f := range d.report {
			got += f.Result + " " + f.Detail
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("", "", "")
	f("", "x", "ok the packaged one")
	f("x", "x", "warn")
	f("y", "x", "differs from it")
}

func TestSupportBundle(t *testing.T) {
	siem := receiver(t, "splunk", plugintest.Options{Fault: "hec=12"})
	a := startSiemd(t, `
inputs: {web: {type: http, listen: `+plugintest.FreeAddr(t)+`}}
outputs:
  splunk: {type: splunk, endpoint: "`+siem.URL()+`", token: s3cret-token-value, batch: {max_wait: 10ms}, retry: {initial: 10ms, max: 20ms}}
`)
	a.siemd("{\"event_id\":\"private-id\",\"title\":\"private-title\"}\n", "send").want(t, exitOK)
	eventually(t, "it is refused", func() bool { return a.siemd("", "failed", "ls", "--json").out != "" })
	a.siemd("", "reload").want(t, exitOK)
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	a.siemd("", "support-bundle", file).want(t, exitOK, file+" is written")
	a.siemd("", "support-bundle", file).want(t, exitCannotMake, "exists")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, data)
	for name, want := range map[string]string{
		"version.json": `"version": "dev"`, "siemd.yaml": "token: ***", "doctor.json": `"check": "config"`, "status.json": `"accepted":1`, "metrics.txt": "siemd_build_info",
		"failed.jsonl": `"connection_id":"splunk"`, "audit.jsonl": `"reload"`, "health.json": `"splunk"`, "wal.json": "{", "connections.json": `"***"`, "statistics.json": `"sent_events":0`,
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s: no %s in %q", name, want, files[name])
		}
	}
	for name, text := range files {
		for _, private := range []string{"s3cret", "private-"} {
			if strings.Contains(text, private) {
				t.Errorf("%s holds %s", name, private)
			}
		}
	}
	a.stop()
	out := a.siemd("", "support-bundle", "-").want(t, exitOK).out
	if files := untar(t, []byte(out)); !strings.Contains(files["status.json"], "no agent answers") || files["siemd.yaml"] == "" {
		t.Errorf("%q", files["status.json"])
	}
}

// untar gives the files of an archive by their names without folders.
func untar(t *testing.T, data []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		files[path.Base(h.Name)] = string(text)
	}
}
