package packaging_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/adrian207/siemd/agent/plugintest"
)

// testdata/releases has, for each release and each version of the format between them, a data_dir as
// an agent of that version left it when it was killed: events that wait, one that a SIEM refused, a
// line that is no event, and a connection that was made through the API, with its secret.
//
//	SIEMD_WRITE_RELEASE=v1.2 go test -run TestReleases ./packaging
//
// writes one more with the agent as it is now; a changed format, and each release, gets one.
const releaseConfig = `data_dir: DIR/data
api: {listen: [], allowed_destinations: [loopback]}
inputs:
  ingest: {type: http, listen: "127.0.0.1:PORT"}
outputs:
  hec: {type: splunk, endpoint: "http://ADDR", token: secret-of-the-test, start: oldest, retry: {max: 1s}}
`

// splunkLike takes all but one event, for which it blames just that event.
func splunkLike(t *testing.T) *plugintest.Receiver {
	t.Helper()
	return plugintest.Started(t, "splunk", plugintest.Options{Token: "secret-of-the-test", Fault: "item=400:match=refuse-me"})
}

func post(t *testing.T, client *http.Client, url, body string, want int) {
	t.Helper()
	answer, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != want {
		var text bytes.Buffer
		_, _ = text.ReadFrom(answer.Body)
		t.Fatalf("POST %s: %s, want %d\n%s", url, answer.Status, want, text.String())
	}
}

// writeRelease leaves such a data_dir in testdata/releases/name.
func writeRelease(t *testing.T, name string) {
	siem := splunkLike(t)
	port := strconv.Itoa(plugintest.FreePort(t))
	config := strings.NewReplacer("ADDR", siem.Addr(), "PORT", port).Replace(releaseConfig)
	a := startAgent(t, config, nil)
	ingest := "http://127.0.0.1:" + port + "/v1/events"
	for _, title := range []string{"one", "two", "refuse-me", "three"} {
		post(t, http.DefaultClient, ingest, fmt.Sprintf(`{"event_id":%q,"event_type":"alert","severity":"high","title":%q}`, title, title), 200)
	}
	post(t, http.DefaultClient, ingest, "no-event", 400)
	waitFor(t, "all are sent or refused", func() bool {
		m := a.get(t, "/metrics")
		return strings.Contains(m, `{output="hec",result="sent"} 3`) && strings.Contains(m, `{output="hec",result="failed"} 1`)
	})
	post(t, a.http, "http://siemd/api/v1/siem/connections", fmt.Sprintf(`{"name":"by api","siem_type":"splunk","endpoint":"http://%s",
		"auth_type":"token","auth_token":"secret-of-the-test","enabled_event_types":["alert"],"batch_interval_seconds":1,"retry_delay_seconds":1}`, siem.Addr()), 201)
	if err := siem.SetFault("refuse"); err != nil {
		t.Fatal(err)
	}
	for _, title := range []string{"four", "five"} {
		post(t, http.DefaultClient, ingest, fmt.Sprintf(`{"event_id":%q,"event_type":"alert","severity":"high","title":%q}`, title, title), 200)
	}
	waitFor(t, "the state is saved", func() bool {
		state, err := os.ReadFile(filepath.Join(a.dir, "state.json"))
		return err == nil && strings.Contains(string(state), "SIEM-CONN-") && strings.Contains(string(state), `"next_seq":7`)
	})
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.cmd.Wait()

	to := filepath.Join("testdata/releases", name)
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	for path, data := range files(t, a.dir) {
		if filepath.Base(path) == "ballast" || filepath.Base(path) == "lock" || strings.HasPrefix(path, "last-good") || path == "running.json" {
			continue
		}
		data = bytes.ReplaceAll(data, []byte(siem.Addr()), []byte("127.0.0.1:9"))
		if bytes.Contains(data, []byte("secret-of-the-test")) {
			t.Errorf("%s has the secret in it", path)
		}
		write(t, filepath.Join(to, "data", path), string(data))
	}
	write(t, filepath.Join(to, "siemd.yaml"), releaseConfig)
}

// files are the regular files below a folder, by their path in it.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			name, _ := filepath.Rel(dir, path)
			all[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unpackRelease makes a working copy of a release's data_dir below dir.
func unpackRelease(t *testing.T, release, dir, addr string) {
	t.Helper()
	for path, data := range files(t, filepath.Join(release, "data")) {
		at := filepath.Join(dir, "data", path)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, "connections/") {
			data = bytes.ReplaceAll(data, []byte("127.0.0.1:9"), []byte(addr))
		}
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What an agent of any earlier version left is taken up: each event that waited arrives once for each
// connection, what was refused is still there, and a connection made through the API has its secret.
func TestReleases(t *testing.T) {
	t.Parallel()
	if name := os.Getenv("SIEMD_WRITE_RELEASE"); name != "" {
		writeRelease(t, name)
	}
	releases, err := filepath.Glob("testdata/releases/*")
	if err != nil || len(releases) == 0 {
		t.Fatalf("releases: %v, %v", releases, err)
	}
	for _, release := range releases {
		t.Run(filepath.Base(release), func(t *testing.T) {
			t.Parallel()
			siem := splunkLike(t)
			text := string(must(os.ReadFile(filepath.Join(release, "siemd.yaml"))))
			a := startAgent(t, strings.NewReplacer("ADDR", siem.Addr(), "PORT", "0").Replace(text), func(cmd *exec.Cmd) {
				unpackRelease(t, release, filepath.Dir(cmd.Args[len(cmd.Args)-1]), siem.Addr())
			})
			waitFor(t, "what waited has arrived from both connections", func() bool { return siem.Events() == 4 })
			if ids := siem.IDs(); ids["four"] != 2 || ids["five"] != 2 || len(ids) != 2 {
				t.Errorf("arrived: %v", ids)
			}
			socket := filepath.Join(a.dir, "siemd.sock")
			var st struct {
				Outputs []struct {
					Name                                         string
					Sent, Failed, Pending, Filtered, Unaccounted int
				}
			}
			waitFor(t, "the ledger is written", func() bool {
				r := siemd(t, "status", "--json", "--socket", socket)
				return json.Unmarshal([]byte(r.out), &st) == nil && len(st.Outputs) == 2 && st.Outputs[0].Pending+st.Outputs[1].Pending == 0
			})
			for _, o := range st.Outputs {
				if o.Unaccounted != 0 || o.Name == "hec" && (o.Sent != 5 || o.Failed != 1) || o.Name != "hec" && o.Sent != 2 {
					t.Errorf("the ledger: %+v", o)
				}
			}
			for want, args := range map[string][]string{
				`refuse-me`: {"failed", "ls", "--json"}, `no-event`: {"failed", "ls", "--refused", "--json"},
				`"name":"by api"`: {"connections", "ls", "--json"}, `connection`: {"audit", "--json"},
			} {
				r := siemd(t, append(args, "--socket", socket)...)
				if r.code != 0 || !strings.Contains(strings.ReplaceAll(r.out, `": "`, `":"`), want) {
					t.Errorf("siemd %v: exit code %d, want %s in\n%s%s", args, r.code, want, r.out, r.err)
				}
			}
			a.stop(t)
			if log := a.log.String(); regexp.MustCompile(`level=(WARN|ERROR)`).MatchString(log) {
				t.Errorf("complaints:\n%s", log)
			}
		})
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// An agent that finds what a newer one wrote says so, exits, and touches nothing.
func TestNewerIsRefused(t *testing.T) {
	t.Parallel()
	newer := map[string]func(t *testing.T, data string){
		"state": func(t *testing.T, data string) {
			for _, name := range []string{"state.json", "state.json.old"} {
				path := filepath.Join(data, name)
				var f struct {
					CRC   string          `json:"crc32c"`
					State json.RawMessage `json:"state"`
				}
				if err := json.Unmarshal(must(os.ReadFile(path)), &f); err != nil {
					t.Fatal(err)
				}
				f.State = regexp.MustCompile(`"version":\d+`).ReplaceAll(f.State, []byte(`"version":99`))
				write(t, path, fmt.Sprintf(`{"crc32c":"%08x","state":%s}`+"\n", crc32.Checksum(f.State, castagnoli), f.State))
			}
		},
		"block": func(t *testing.T, data string) {
			segments, err := filepath.Glob(filepath.Join(data, "wal", "0*"))
			if err != nil || len(segments) == 0 {
				t.Fatalf("segments: %v, %v", segments, err)
			}
			path := segments[len(segments)-1]
			b := must(os.ReadFile(path))
			at := bytes.LastIndex(b, []byte("\xf5SWB"))
			if at < 0 {
				t.Fatal("there is no block")
			}
			header := b[at : at+int(binary.LittleEndian.Uint32(b[at+8:]))]
			header[12] = 99
			binary.LittleEndian.PutUint32(header[4:], crc32.Checksum(header[8:], castagnoli))
			write(t, path, string(b))
		},
	}
	releases, err := filepath.Glob("testdata/releases/*")
	if err != nil || len(releases) == 0 {
		t.Fatalf("releases: %v, %v", releases, err)
	}
	for what, change := range newer {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			unpackRelease(t, releases[len(releases)-1], dir, "127.0.0.1:9")
			data := filepath.Join(dir, "data")
			change(t, data)
			config := filepath.Join(dir, "siemd.yaml")
			write(t, config, strings.NewReplacer("ADDR", "127.0.0.1:9", "PORT", "0", "DIR", dir).Replace(releaseConfig))
			before := files(t, data)
			r := siemd(t, "run", "-c", config)
			if r.code != 1 || !strings.Contains(r.err, "written by a newer version") || !strings.Contains(r.err, "nothing was touched") {
				t.Errorf("exit code %d\n%s", r.code, r.err)
			}
			after := files(t, data)
			delete(after, "lock")
			for path, b := range after {
				if old, ok := before[path]; !ok || !bytes.Equal(b, old) {
					t.Errorf("%s was made or changed", path)
				}
			}
			for path := range before {
				if _, ok := after[path]; !ok {
					t.Errorf("%s is gone", path)
				}
			}
		})
	}
}
