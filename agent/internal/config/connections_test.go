package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/adrian207/siemd/agent"

	_ "github.com/adrian207/siemd/outputs/splunk"
)

const splunkFile = `connection: {name: n, siem_type: splunk, endpoint: h, secrets: %s, created_at: 2025-01-01T00:00:00Z, updated_at: 2025-01-01T00:00:00Z}
outputs:
  %s: {type: splunk, endpoint: "https://h.example.com:8088", token: "${secret:token}", source: "a$$b"}
`

// data makes a data_dir and a config file that names it.
func data(t *testing.T) (dir, conf string) {
	t.Helper()
	dir = t.TempDir()
	conf = filepath.Join(dir, "siemd.yaml")
	write(t, conf, "data_dir: "+dir+"\noutputs: {yaml: {type: splunk, endpoint: 'https://h.example.com', token: x}}\n")
	return dir, conf
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func problems(list []agent.Problem) string {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

func TestConnectionsAreLoadedBesideTheFiles(t *testing.T) {
	dir, conf := data(t)
	s := openStore(t, dir)
	ch := Change{ID: "SIEM-CONN-00000001", Data: fmt.Appendf(nil, splunkFile, "g1", "SIEM-CONN-00000001"), Secrets: map[string]string{"token": "${env:HOME} s3cr3t"}}
	if err := s.Write(ch, "g1"); err != nil {
		t.Fatal(err)
	}
	cfg, ps := Load(conf, Options{})
	if cfg == nil {
		t.Fatal(problems(ps))
	}
	o := cfg.Outputs[ch.ID]
	if o == nil || o.Managed == nil || o.Managed.Name != "n" || cfg.Outputs["yaml"].Managed != nil {
		t.Fatalf("outputs = %v", cfg.Outputs)
	}
	if got := fmt.Sprintf("%+v", o.Config); !strings.Contains(got, "Source:a$b") || strings.Contains(got, "s3cr3t") {
		t.Errorf("config = %s", got)
	}
	if o.Managed.Sealed["token"] != "${env:HOME} s3cr3t" {
		t.Error("the secret is not what it was, or was taken for a reference")
	}
	sealed, err := os.ReadFile(filepath.Join(dir, ConnectionsDir, ch.ID+".g1.secret"))
	if err != nil || strings.Contains(string(sealed), "s3cr3t") {
		t.Errorf("sealed file: %v %s", err, sealed)
	}

	// With a secret of another generation the old one is gone; removed, all of it is.
	ch.Data = fmt.Appendf(nil, splunkFile, "g2", ch.ID)
	if err := s.Write(ch, "g2"); err != nil {
		t.Fatal(err)
	}
	if names := listed(t, dir); fmt.Sprint(names) != "[SIEM-CONN-00000001.g2.secret SIEM-CONN-00000001.yaml key]" {
		t.Errorf("files = %v", names)
	}
	next, ps := With(cfg, Change{ID: ch.ID})
	if next == nil || next.Outputs[ch.ID] != nil || next.Hash == cfg.Hash || cfg.Outputs[ch.ID] == nil {
		t.Errorf("With without it: %v", problems(ps))
	}
	again, ps := With(next, ch)
	if again == nil {
		t.Fatal(problems(ps))
	}
	if loaded, _ := Load(conf, Options{}); loaded.Hash != again.Hash {
		t.Error("With and Load disagree about the hash")
	}
	if err := s.Write(Change{ID: ch.ID}, ""); err != nil {
		t.Fatal(err)
	}
	if names := listed(t, dir); fmt.Sprint(names) != "[key]" {
		t.Errorf("files = %v", names)
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, ConnectionsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
	return names
}

func TestConnectionFilesAreHeldToTheirForm(t *testing.T) {
	dir, conf := data(t)
	s := openStore(t, dir)
	f := func(name, text, want string) {
		t.Helper()
		path := filepath.Join(dir, ConnectionsDir, name+".yaml")
		write(t, path, text)
		defer os.Remove(path)
		cfg, ps := Load(conf, Options{})
		if cfg != nil || !strings.Contains(problems(ps), want) || !strings.Contains(problems(ps), path) {
			t.Errorf("%s: problems\n%swant %q in %s", text, problems(ps), want, path)
		}
	}
	const out = `type: splunk, endpoint: "https://h.example.com"`
	f("a", "outputs: {a: {"+out+", token: '${env:HOME}'}}", "only ${secret:KEY} is known")
	f("a", "outputs: {a: {"+out+", token: '${file:/etc/passwd}'}}", "only ${secret:KEY} is known")
	f("a", "outputs: {a: {"+out+", token: '${secret:token}'}}", "no secret is kept")
	f("a", "outputs: {b: {"+out+", token: x}}", "named after")
	f("a", "outputs: {a: {"+out+", token: x}, b: {"+out+", token: x}}", "named after")
	f("yaml", "outputs: {yaml: {"+out+", token: x}}", "defined already")
	f("a", "data_dir: /x\noutputs: {a: {"+out+", token: x}}", "unknown key")
	f("a", "connection: {severity_mapping: {high: 9}}\noutputs: {a: {"+out+", token: x}}", "severity")
	f("a", "outputs: [", "not valid YAML")
	f("a", fmt.Sprintf(splunkFile, "g1", "a"), "cannot be opened")

	// A sealed file is for one connection, and whole.
	if err := s.Write(Change{ID: "b", Data: fmt.Appendf(nil, splunkFile, "g1", "b"), Secrets: map[string]string{"token": "t"}}, "g1"); err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(filepath.Join(dir, ConnectionsDir, "b.g1.secret"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ConnectionsDir, "a.g1.secret"), string(sealed))
	f("a", fmt.Sprintf(splunkFile, "g1", "a"), "belongs to another connection")
	write(t, filepath.Join(dir, ConnectionsDir, "a.g1.secret"), string(sealed[:len(sealed)-9]))
	f("a", fmt.Sprintf(splunkFile, "g1", "a"), "cannot be opened")
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	write(t, filepath.Join(dir, ConnectionsDir, "a.g1.secret"), string(damaged))
	f("a", fmt.Sprintf(splunkFile, "g1", "a"), "the file is damaged")

	// What is no file is not opened: a link leads elsewhere, and a pipe would be waited for.
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	write(t, elsewhere, "outputs: {l: {"+out+", token: x}}")
	for _, odd := range []func(path string) error{
		func(path string) error { return os.Symlink(elsewhere, path) },
		func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		path := filepath.Join(dir, ConnectionsDir, "l.yaml")
		if err := odd(path); err != nil {
			t.Fatal(err)
		}
		if cfg, ps := Load(conf, Options{}); cfg != nil || !strings.Contains(problems(ps), path+":1:1: error: this is no regular file") {
			t.Errorf("problems = %s", problems(ps))
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if cfg, ps := Load(conf, Options{NoSecrets: true}); cfg == nil {
		t.Errorf("without secrets: %s", problems(ps))
	}
	if cfg, ps := Load(conf, Options{}); cfg == nil {
		t.Errorf("with the good one: %s", problems(ps))
	}

	// What a crash has left goes at the next start.
	openStore(t, dir)
	if names := listed(t, dir); fmt.Sprint(names) != "[b.g1.secret b.yaml key]" {
		t.Errorf("files = %v", names)
	}
}

func TestTheKeyMayBeACredential(t *testing.T) {
	dir, conf := data(t)
	creds := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	// As age-keygen writes it.
	write(t, filepath.Join(creds, CredentialName), "# created: 2025-01-01T00:00:00Z\n# public key: "+id.Recipient().String()+"\n"+id.String()+"\n")
	t.Setenv("CREDENTIALS_DIRECTORY", creds)
	s := openStore(t, dir)
	if err := s.Write(Change{ID: "a", Data: fmt.Appendf(nil, splunkFile, "g1", "a"), Secrets: map[string]string{"token": "t"}}, "g1"); err != nil {
		t.Fatal(err)
	}
	if names := listed(t, dir); fmt.Sprint(names) != "[a.g1.secret a.yaml]" {
		t.Errorf("files = %v: with a credential there is no key file", names)
	}
	if cfg, ps := Load(conf, Options{}); cfg == nil {
		t.Error(problems(ps))
	}

	// Anybody's age opens it with that identity.
	f, err := os.Open(filepath.Join(dir, ConnectionsDir, "a.g1.secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := age.Decrypt(f, id)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != `{"connection":"a","secrets":{"token":"t"}}` {
		t.Errorf("plain = %s, %v", plain, err)
	}

	f2 := func(want string) {
		t.Helper()
		if cfg, ps := Load(conf, Options{}); cfg != nil || !strings.Contains(problems(ps), want) {
			t.Errorf("problems = %s, want %s", problems(ps), want)
		}
	}
	write(t, filepath.Join(creds, CredentialName), "AGE-SECRET-KEY-1WRONG\n")
	f2("no age identity")
	if _, ps := Load(conf, Options{}); strings.Contains(problems(ps), "1WRONG") {
		t.Error("the key is told")
	}
	if _, err := OpenStore(dir); err == nil || strings.Contains(err.Error(), "1WRONG") {
		t.Errorf("OpenStore with a damaged credential = %v; it must not make another key", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	f2("there is no key")
	openStore(t, dir)
	f2("the key does not fit")
}
