package syslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/adrian207/siemd/agent"
	"github.com/adrian207/siemd/agent/plugintest"
)

// hostile are texts that have forged, split or cut records elsewhere.
var hostile = []string{
	"plain", "café 🔥 مرحبا", "line\nbreak\r\n<8>1 2025-01-01T00:00:00Z evil evil - - - forged", `quotes " and \ and ] and [x y="z"]`,
	"tab\tand nul \x00 and esc \x1b[2J", "%msg% $!all %s %n #012", "120 <13>1 - - - - - - forged count", "'; DROP TABLE x; --",
	"combining e\u0301, \u202e reversed, \u2028 separator", "a=b|c=d CEF:0|x|y|z|1|2|3| LEEF:2.0|", strings.Repeat("long ", 200),
}

// hostileEvents put each text into every field that comes from outside.
func hostileEvents(t *testing.T) []agent.Event {
	t.Helper()
	list := make([]agent.Event, len(hostile))
	for i, text := range hostile {
		body, err := json.Marshal(map[string]any{
			"event_id": "id " + text, "event_type": "type " + text, "source": "dev " + text, "title": "title " + text, "description": text,
			"anomaly": map[string]any{"type": text}, "mitre_attack": map[string]any{"tactic": text, "technique": text},
		})
		if err != nil {
			t.Fatal(err)
		}
		list[i] = agent.Event{
			Seq: uint64(i + 1), Time: time.Date(2025, 10, 9, 12, 0, i, 0, time.UTC).UnixNano(), Severity: agent.High,
			ID: fmt.Appendf(nil, "E%d %s", i, text), Type: []byte("anomaly"), Source: []byte("dev " + text), Body: body,
		}
	}
	return list
}

// A parsed is what a real receiver made of a message.
type parsed struct {
	Host     string `json:"host"`
	App      string `json:"app"`
	MsgID    string `json:"msgid"`
	SD       string `json:"sd"`
	Msg      string `json:"msg"`
	Severity string `json:"sev"`
	Facility string `json:"fac"`
}

// find is the program, or a test that is skipped so that one sees it. Under CI it must be there.
func find(t *testing.T, program, override string) string {
	t.Helper()
	if path := os.Getenv(override); path != "" {
		return path
	}
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + program); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", program)
	}
	t.Skipf("SKIPPED: %s is missing, so nothing was tried with a real receiver", program)
	return ""
}

// A daemon is a real receiver that appends what it parsed to a file, as JSON lines.
type daemon struct {
	output string
	log    bytes.Buffer
}

func startDaemon(t *testing.T, output string, ports []int, program string, args ...string) *daemon {
	t.Helper()
	d := &daemon{output: output}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said: %.3000s", program, d.log.String())
		}
	})
	began := time.Now()
	for _, port := range ports {
		for {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				c.Close()
				break
			}
			select {
			case err := <-ended:
				ended <- err
				t.Fatalf("%s ended: %v", program, err)
			case <-time.After(20 * time.Millisecond):
			}
			if time.Since(began) > 60*time.Second {
				t.Fatalf("%s does not listen: %v", program, err)
			}
		}
	}
	return d
}

// await reads the output until it has n lines, and for a moment longer, so that a forged one is seen.
func (d *daemon) await(t *testing.T, n int) []parsed {
	t.Helper()
	began := time.Now()
	var quiet time.Time
	for {
		b, _ := os.ReadFile(d.output)
		lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
		switch {
		case len(b) == 0 || len(lines) < n:
			if time.Since(began) > 60*time.Second {
				t.Fatalf("%d of %d messages arrived: %.2000s", len(lines), n, b)
			}
		case quiet.IsZero():
			quiet = time.Now().Add(200 * time.Millisecond)
		case time.Now().After(quiet):
			list := make([]parsed, len(lines))
			for i, l := range lines {
				if err := json.Unmarshal(l, &list[i]); err != nil {
					t.Fatalf("line %d of the receiver: %v: %.500s", i+1, err, l)
				}
				list[i].Msg = strings.TrimPrefix(list[i].Msg, " ")
			}
			if err := os.Truncate(d.output, 0); err != nil {
				t.Fatal(err)
			}
			return list
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// compare holds what a receiver parsed against what was meant.
func compare(t *testing.T, o agent.Output, list []agent.Event, got []parsed, escape func(string) string) {
	t.Helper()
	if len(got) != len(list) {
		t.Errorf("%d events became %d messages", len(list), len(got))
		return
	}
	for i := range list {
		b, err := o.(agent.Encoder).Encode(nil, &list[i])
		if err != nil {
			t.Fatal(err)
		}
		// Our own line, taken apart at the spaces that RFC 5424 allows in its header.
		line := string(b[bytes.IndexByte(b, '<'):])
		head := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
		end := sdEnd(head[6])
		want := parsed{Host: head[2], App: head[3], MsgID: head[5], SD: head[6][:end], Msg: strings.TrimPrefix(head[6][end:], " "), Severity: "3", Facility: "16"}
		want.Msg = escape(want.Msg)
		if got[i] != want {
			t.Errorf("event %d:\n got %+v\nwant %+v", i, got[i], want)
		}
	}
}

// sdEnd is where the structured data ends: the first ] that is not escaped.
func sdEnd(s string) int {
	if s[0] == '-' {
		return 1
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ']':
			return i + 1
		}
	}
	return len(s)
}

func startRsyslog(t *testing.T) (d *daemon, ports map[string]int, ca *authority) {
	t.Helper()
	program := find(t, "rsyslogd", "SIEMD_RSYSLOGD")
	dir := t.TempDir()
	ca = newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	ports = map[string]int{"tcp": plugintest.FreePort(t), "tls": plugintest.FreePort(t), "udp": plugintest.FreePort(t)}
	out := filepath.Join(dir, "out.jsonl")
	conf := fmt.Sprintf(`
global(workDirectory=%q maxMessageSize="64k" defaultNetstreamDriverCAFile=%q
	defaultNetstreamDriverCertFile=%q defaultNetstreamDriverKeyFile=%q)
module(load="imudp")
module(load="imtcp")
template(name="out" type="list" option.jsonf="on") {
	property(outname="host" name="hostname" format="jsonf")
	property(outname="app" name="app-name" format="jsonf")
	property(outname="msgid" name="msgid" format="jsonf")
	property(outname="sd" name="structured-data" format="jsonf")
	property(outname="msg" name="msg" format="jsonf")
	property(outname="sev" name="syslogseverity" format="jsonf")
	property(outname="fac" name="syslogfacility" format="jsonf")
}
ruleset(name="all") { action(type="omfile" file=%q template="out") }
input(type="imudp" address="127.0.0.1" port="%d" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="%d" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="%d" ruleset="all"
	streamdriver.name="gtls" streamdriver.mode="1" streamdriver.authmode="x509/certvalid")
`, dir, ca.file, cert, key, out, ports["udp"], ports["tcp"], ports["tls"])
	path := filepath.Join(dir, "rsyslog.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d = startDaemon(t, out, []int{ports["tcp"], ports["tls"]}, program, "-n", "-f", path, "-i", filepath.Join(dir, "pid"))
	return d, ports, ca
}

func TestRsyslog(t *testing.T) {
	if testing.Short() {
		t.Skip("starts rsyslog")
	}
	d, ports, ca := startRsyslog(t)
	for _, c := range []struct{ name, transport, framing string }{
		{"udp", "udp", "octet"}, {"tcp octet", "tcp", "octet"}, {"tcp newline", "tcp", "newline"}, {"tls", "tls", "octet"},
	} {
		for _, bom := range []string{"off", "always"} {
			t.Run(c.name+" bom "+bom, func(t *testing.T) {
				config := tcpConfig(fmt.Sprintf("127.0.0.1:%d", ports[c.transport]))
				config.Transport, config.Framing, config.BOM, config.MaxMessage = c.transport, c.framing, bom, 8<<10
				if c.transport == "tls" {
					config.TLS.CAFile = ca.file
					config.TLS.CertFile, config.TLS.KeyFile = ca.issue(t, "client", time.Now().Add(time.Hour))
				}
				o := kind(t, "syslog", config)
				list := hostileEvents(t)
				if err := o.Write(deadline(t, 20*time.Second), list); err != nil {
					t.Fatal(err)
				}
				compare(t, o, list, d.await(t, len(list)), func(s string) string { return s })
			})
		}
	}
	t.Run("tls without client certificate", func(t *testing.T) {
		config := tcpConfig(fmt.Sprintf("127.0.0.1:%d", ports["tls"]))
		config.Transport, config.TLS.CAFile = "tls", ca.file
		o := kind(t, "syslog", config)
		if err := o.Write(deadline(t, 20*time.Second), hostileEvents(t)); err == nil {
			t.Error("events count as sent to a receiver that wants a client certificate")
		}
	})
	for _, name := range []string{"cef", "leef"} {
		t.Run(name, func(t *testing.T) {
			var o agent.Output
			config := withRFC(tcpConfig(fmt.Sprintf("127.0.0.1:%d", ports["tcp"])), "5424")
			if name == "cef" {
				c := cefDefaults
				c.Config = config
				o = kind(t, name, c)
			} else {
				c := leefDefaults
				c.Config, c.Delimiter = config, "^"
				o = kind(t, name, c)
			}
			list := hostileEvents(t)
			if err := o.Write(deadline(t, 20*time.Second), list); err != nil {
				t.Fatal(err)
			}
			compare(t, o, list, d.await(t, len(list)), func(s string) string { return s })
		})
	}
}

func TestSyslogNG(t *testing.T) {
	if testing.Short() {
		t.Skip("starts syslog-ng")
	}
	// Debian does not install it beside rsyslog; .ci/syslog-ng unpacks it.
	program := find(t, "syslog-ng", "SIEMD_SYSLOG_NG")
	dir := t.TempDir()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	ports := map[string]int{"octet": plugintest.FreePort(t), "newline": plugintest.FreePort(t), "tls": plugintest.FreePort(t), "udp": plugintest.FreePort(t)}
	out := filepath.Join(dir, "out.jsonl")
	conf := fmt.Sprintf(`@version: 3.35
options { keep-hostname(yes); chain-hostnames(no); use-dns(no); log-msg-size(131072); stats-freq(0); flush-lines(1); };
source all {
	syslog(ip(127.0.0.1) port(%d) transport("tcp"));
	network(ip(127.0.0.1) port(%d) transport("tcp") flags(syslog-protocol));
	syslog(ip(127.0.0.1) port(%d) transport("udp"));
	syslog(ip(127.0.0.1) port(%d) transport("tls") tls(cert-file(%q) key-file(%q) ca-file(%q) peer-verify(required-trusted)));
};
destination out { file(%q template("$(format-json host=\"$HOST\" app=\"$PROGRAM\" msgid=\"$MSGID\" sd=\"$SDATA\" msg=\"$MSG\" sev=\"$LEVEL_NUM\" fac=\"$FACILITY_NUM\")\n")); };
log { source(all); destination(out); };
`, ports["octet"], ports["newline"], ports["udp"], ports["tls"], cert, key, ca.file, out)
	path := filepath.Join(dir, "syslog-ng.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, out, []int{ports["octet"], ports["newline"], ports["tls"]}, program, "-F", "--no-caps", "-f", path,
		"-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "ctl"), "-R", filepath.Join(dir, "persist"))
	for _, c := range []struct{ name, transport, framing string }{
		{"octet", "tcp", "octet"}, {"newline", "tcp", "newline"}, {"udp", "udp", "octet"}, {"tls", "tls", "octet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := tcpConfig(fmt.Sprintf("127.0.0.1:%d", ports[c.name]))
			config.Transport, config.Framing, config.MaxMessage = c.transport, c.framing, 8<<10
			// It takes fewer characters in HOSTNAME than the standard allows,
			// and refuses messages with others, such as < or |.
			config.Hostname = "gateway"
			if c.transport == "tls" {
				config.TLS.CAFile = ca.file
				config.TLS.CertFile, config.TLS.KeyFile = ca.issue(t, "client", time.Now().Add(time.Hour))
			}
			o := kind(t, "syslog", config)
			list := hostileEvents(t)
			if err := o.Write(deadline(t, 20*time.Second), list); err != nil {
				t.Fatal(err)
			}
			compare(t, o, list, d.await(t, len(list)), func(s string) string { return s })
		})
	}
}
