package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent/plugintest"
)

// While events flow through three inputs to four outputs, the config is edited
// over and over, rightly and wrongly, in every way that editors and
// orchestrators write. SIEMD_TORTURE=1 makes 500 edits under 2,000 events a second.
func TestReloadStorm(t *testing.T) {
	edits, rate := 15, 500.0
	if os.Getenv("SIEMD_TORTURE") != "" {
		edits, rate = 500, 2000
	}
	s := newEditStorm(t, rate)
	s.storm(edits / 3) // caches and pools fill
	before := s.measure()
	s.storm(edits - edits/3)
	after := s.measure()
	// Requests are still ending, and connections, which live for 30 s when nobody uses them.
	for end := time.Now().Add(45 * time.Second); !after.flat(before) && time.Now().Before(end); after = s.measure() {
		time.Sleep(50 * time.Millisecond)
	}

	t.Logf("seed %d: %d edits right, %d wrong, of them by %v; %d events, %d requests sent again; %v", s.seed, s.right, s.wrong, s.styles, s.traffic.count(), s.traffic.again.Load(), s.took.Round(time.Second))
	t.Attr("trials", fmt.Sprint(s.n))
	t.Logf("before: %+v", before)
	t.Logf("after:  %+v", after)
	if !after.flat(before) {
		t.Error("goroutines, descriptors or memory have grown")
	}
	// An output that is restarted connects anew with nearly every edit. net/http
	// does so too, when a request's writer has not said within 50 ms that it is done:
	// on a busy machine now and then.
	most := 1 + int64(s.n)/5
	for name, c := range map[string]*counted{"kept": s.kept, "busy": s.busy} {
		if n := c.accepted.Load(); n < 1 || n > most {
			t.Errorf("the untouched output %s made %d connections, want at most %d", name, n, most)
		}
	}
	for name, r := range s.receivers {
		s.traffic.check(t, name, r)
	}
	for series, want := range map[string]float64{
		`siemd_config_reloads_total{result="applied"}`: float64(s.right), `siemd_config_reloads_total{result="refused"}`: float64(s.wrong),
	} {
		// A config runs a moment before it is counted.
		eventually(t, 20*time.Second, fmt.Sprintf("%s is at least %v", series, want), func() bool {
			n, err := s.b.metric(series)
			return err == nil && n >= want
		})
	}
	if n, err := s.b.metric("siemd_unaccounted_events"); err != nil || n != 0 {
		t.Errorf("siemd_unaccounted_events is %v, %v", n, err)
	}
	if text := s.watch.trouble(); text != "" {
		t.Error(text)
	}
	s.watch.stop()
	s.feed.Close() // the child's end waits for it
	s.b.stop()
}

// An editStorm is an agent under edits.
type editStorm struct {
	t         *testing.T
	b         *bench
	watch     *watch
	traffic   *traffic
	receivers map[string]*plugintest.Receiver
	kept      *counted
	busy      *counted
	feed      *io.PipeWriter
	taken     net.Listener // an address that nobody else can listen on

	seed   uint64
	r      *rand.Rand
	n      int // edits so far
	right  int
	wrong  int
	styles map[string]int
	took   time.Duration
}

func newEditStorm(t *testing.T, rate float64) *editStorm {
	t.Helper()
	s := &editStorm{t: t, receivers: map[string]*plugintest.Receiver{}, styles: map[string]int{}, seed: uint64(time.Now().UnixNano())}
	s.r = rand.New(rand.NewPCG(s.seed, 0))
	for name, kind := range map[string]string{"kept": "syslog", "busy": "splunk", "changed": "elastic", "coming": "http"} {
		s.receivers[name] = startReceiver(t, kind, plugintest.Options{})
	}
	s.kept, s.busy = startCounted(t, s.receivers["kept"].Addr()), startCounted(t, s.receivers["busy"].Addr())
	var err error
	if s.taken, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.taken.Close() })
	s.b = &bench{dir: t.TempDir(), ingest: plugintest.FreeAddr(t)}
	s.b.client = socketClient(filepath.Join(s.b.dir, "state", "siemd.sock"))
	stdin, feed := io.Pipe()
	s.feed = feed
	t.Cleanup(func() { feed.Close() })
	s.traffic = newTraffic(t, s.b, rate, feed)
	if err := os.Mkdir(filepath.Join(s.b.dir, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	main, extra := s.config(true)
	writeFile(t, s.b.conf(), main)
	writeFile(t, s.extra(), extra)
	s.b.daemon = startDaemon(t, s.b.conf(), stdin)
	s.watch = startWatch(t, s.b)
	return s
}

func (s *editStorm) extra() string { return filepath.Join(s.b.dir, "conf.d", "extra.yaml") }

// config is a valid one, with a shutdown_timeout by which it is known. What is
// not plain differs from the others wherever it may.
func (s *editStorm) config(plain bool) (main, extra string) {
	vary := func(a, b string) string {
		if plain || s.r.IntN(2) == 0 {
			return a
		}
		return b
	}
	main = fmt.Sprintf(`data_dir: %s/state
shutdown_timeout: %ds
api: {listen: []}
inputs:
  files: {type: tail, paths: ["%[1]s/apps/*.jsonl"]%[3]s}
  ingest: {type: http, listen: %[4]q%[5]s}
  pipe: {type: stdin}
outputs:
  kept: {type: syslog, endpoint: %[6]q, batch: {max_wait: 20ms}}
  busy: {type: splunk, endpoint: "http://%[7]s", token: x, concurrency: 1, batch: {max_wait: 20ms}}
  changed: {type: elastic, endpoint: %[8]q, concurrency: 1, batch: {max_wait: 20ms, max_events: %[9]d}}
`, s.b.dir, 100+s.n, vary("", ", exclude: [nothing.*]"), s.b.ingest, vary("", ", max_events: 5000"),
		s.kept.Addr(), s.busy.Addr(), s.receivers["changed"].URL(), 500+s.n)
	extra = fmt.Sprintf("outputs:\n  coming: {type: http, endpoint: %q, concurrency: 1, batch: {max_wait: 20ms, max_bytes: %s}}\n", s.receivers["coming"].URL(), vary("1MB", "100KB"))
	if !plain && s.r.IntN(3) == 0 {
		extra = "" // no such file
	}
	return main, extra
}

// mistakes make a config wrong, and what is said then.
var mistakes = []func(s *editStorm, main, extra string) (m, e, said string){
	func(s *editStorm, main, extra string) (string, string, string) {
		key := fmt.Sprintf("nonsense_%d", s.n)
		return main + key + ": 1\n", extra, `unknown key \"` + key
	},
	func(s *editStorm, main, extra string) (string, string, string) {
		value := fmt.Sprintf("soon-%d", s.n)
		return strings.Replace(main, "max_wait: 20ms", "max_wait: "+value, 1), extra, value
	},
	func(s *editStorm, main, extra string) (string, string, string) {
		return strings.Replace(main, "shutdown_timeout", "{ shutdown_timeout", 1), extra, "not valid YAML"
	},
	func(s *editStorm, main, extra string) (string, string, string) {
		name := fmt.Sprintf("twice-%d", s.n)
		line := fmt.Sprintf("  %s: {type: file, path: /nowhere/%[1]s}\n", name)
		return main + line, "outputs:\n" + line, fmt.Sprintf(`output \"%s\" is defined already`, name)
	},
	func(s *editStorm, main, extra string) (string, string, string) {
		name := fmt.Sprintf("SIEMD_TEST_UNSET_%d", s.n)
		return strings.Replace(main, "token: x", `token: "${env:`+name+`}"`, 1), extra, name + " is not set"
	},
	// It is valid, and cannot be built: another program has the address.
	func(s *editStorm, main, extra string) (string, string, string) {
		name := fmt.Sprintf("late-%d", s.n)
		return strings.Replace(main, "inputs:\n", fmt.Sprintf("inputs:\n  %s: {type: http, listen: %q}\n", name, s.taken.Addr()), 1), extra, "input " + name
	},
}

// storm edits n times under load, and waits until all has arrived.
func (s *editStorm) storm(n int) {
	s.t.Helper()
	began := time.Now()
	s.traffic.start()
	for range n {
		s.edit()
	}
	s.n++
	main, extra := s.config(true)
	s.write(main, extra)
	s.right++
	s.awaitRight()
	s.traffic.stop()
	s.took += time.Since(began)
	if len(s.traffic.errors) > 0 {
		s.t.Fatalf("%d errors where events come in: %q", len(s.traffic.errors), s.traffic.errors[0])
	}
	for name := range s.receivers {
		if _, err := s.watch.await(60*time.Second, name, "all is sent", func(c connection) bool { return int64(c.Sent) == s.traffic.count() }); err != nil {
			s.traffic.check(s.t, name, s.receivers[name])
			s.t.Fatal(err)
		}
		r := s.receivers[name]
		eventually(s.t, 30*time.Second, name+" has read everything", func() bool { return r.Stats().Distinct >= s.traffic.count() })
	}
}

// edit makes one edit, sometimes asks for a reload too, and waits until siemd has taken it or said what is wrong.
func (s *editStorm) edit() {
	s.t.Helper()
	s.n++
	main, extra := s.config(false)
	said, refused := "", 0.0
	if s.r.IntN(2) == 0 {
		main, extra, said = mistakes[s.r.IntN(len(mistakes))](s, main, extra)
		s.wrong++
		var err error
		if refused, err = s.b.metric(`siemd_config_reloads_total{result="refused"}`); err != nil {
			s.t.Fatal(err)
		}
	} else {
		s.right++
	}
	heard := len(s.b.diag.String())
	s.write(main, extra)
	s.hurry()
	if said == "" {
		s.awaitRight()
		return
	}
	eventually(s.t, 60*time.Second, fmt.Sprintf("edit %d is refused, and %q is said", s.n, said), func() bool {
		n, err := s.b.metric(`siemd_config_reloads_total{result="refused"}`)
		return err == nil && n > refused && strings.Contains(s.b.diag.String()[heard:], said)
	})
}

// hurry asks for a reload, once or often, or leaves it to the watch.
func (s *editStorm) hurry() {
	switch s.r.IntN(6) {
	case 0:
		if err := s.b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			s.t.Fatal(err)
		}
	case 1:
		client := socketClient(filepath.Join(s.b.dir, "state", "siemd.sock"))
		client.Timeout = time.Minute
		var wg sync.WaitGroup
		for range 1 + s.r.IntN(5) {
			wg.Go(func() {
				resp, err := client.Post("http://siemd/api/v1/siem/reload", "", nil)
				if err != nil {
					s.t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
					s.t.Errorf("reload: %s", resp.Status)
				}
			})
		}
		wg.Wait()
	}
}

// awaitRight waits until the config that was written last runs.
func (s *editStorm) awaitRight() {
	s.t.Helper()
	eventually(s.t, 60*time.Second, fmt.Sprintf("edit %d runs", s.n), func() bool {
		data, err := os.ReadFile(filepath.Join(s.b.dir, "state", "running.json"))
		var running struct {
			Settings struct{ ShutdownTimeout string }
		}
		if err == nil {
			err = json.Unmarshal(data, &running)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		d, err := time.ParseDuration(running.Settings.ShutdownTimeout)
		return err == nil && d == time.Duration(100+s.n)*time.Second
	})
}

// write replaces both files, each in a way of its own.
func (s *editStorm) write(main, extra string) {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if extra == "" {
		if err := os.Remove(s.extra()); !os.IsNotExist(err) {
			must(err)
		}
		s.styles["conf.d removed"]++
	} else if s.r.IntN(2) == 0 {
		writeFile(s.t, s.extra(), extra)
	} else {
		writeFile(s.t, s.extra()+"~", extra)
		must(os.Rename(s.extra()+"~", s.extra()))
	}
	conf := s.b.conf()
	switch s.r.IntN(5) {
	case 0:
		s.styles["in place"]++
		writeFile(s.t, conf, main)
	case 1:
		s.styles["in two steps"]++
		f, err := os.OpenFile(conf, os.O_WRONLY|os.O_TRUNC, 0)
		must(err)
		_, err = f.WriteString(main[:len(main)/2])
		must(err)
		time.Sleep(time.Duration(s.r.IntN(50)) * time.Millisecond) // what an editor takes
		_, err = f.WriteString(main[len(main)/2:])
		must(err)
		must(f.Close())
	case 2:
		s.styles["rename"]++
		writeFile(s.t, conf+".new", main)
		must(os.Rename(conf+".new", conf))
	case 3:
		s.styles["moved away first"]++ // as vim does with backups
		must(os.Rename(conf, conf+"~"))
		writeFile(s.t, conf, main)
	case 4:
		s.styles["swapped folder"]++
		version := fmt.Sprintf("..v%d", s.n)
		old, _ := os.Readlink(filepath.Join(s.b.dir, "..data"))
		must(os.Mkdir(filepath.Join(s.b.dir, version), 0o700))
		writeFile(s.t, filepath.Join(s.b.dir, version, "siemd.yaml"), main)
		must(os.Symlink(version, filepath.Join(s.b.dir, "..tmp")))
		must(os.Rename(filepath.Join(s.b.dir, "..tmp"), filepath.Join(s.b.dir, "..data")))
		if target, _ := os.Readlink(conf); target == "" {
			must(os.Symlink("..data/siemd.yaml", conf+".link"))
			must(os.Rename(conf+".link", conf))
		}
		if old != "" {
			must(os.RemoveAll(filepath.Join(s.b.dir, old)))
		}
	}
}

// usage is what siemd takes of the machine.
type usage struct{ goroutines, files, heap, resident float64 }

// flat reports whether there was no growth since before, but for what fills by chance.
func (u usage) flat(before usage) bool {
	return u.goroutines <= before.goroutines+3 && u.files <= before.files+3 && u.heap <= 1.5*before.heap+16<<20 && u.resident <= 1.3*before.resident+48<<20
}

func (s *editStorm) measure() (u usage) {
	s.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	for series, to := range map[string]*float64{
		"go_goroutines": &u.goroutines, "process_open_fds": &u.files, "go_memstats_heap_inuse_bytes": &u.heap, "process_resident_memory_bytes": &u.resident,
	} {
		var err error
		if *to, err = s.b.metric(series); err != nil {
			s.t.Fatal(err)
		}
	}
	return u
}
