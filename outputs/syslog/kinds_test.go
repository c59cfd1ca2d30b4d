package syslog

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/adrian207/siemd/agent"
)

// kind builds a registered kind from a config.
func kind(t *testing.T, name string, config any) agent.Output {
	t.Helper()
	spec, ok := agent.OutputKind(name)
	if !ok {
		t.Fatalf("no kind %s", name)
	}
	// BuildOutput wants a pointer, as Decode returns it.
	switch c := config.(type) {
	case Config:
		config = &c
	case CEFConfig:
		config = &c
	case LEEFConfig:
		config = &c
	}
	env := testEnv(t)
	env.Identity.Host = "gateway"
	o, err := spec.BuildOutput(config, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.(agent.Closer).Close(context.Background()) })
	return o
}

// decode reads keys as a config file has them.
func decode(t *testing.T, name, keys string) (config any, problems []agent.Problem) {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(keys), &n); err != nil {
		t.Fatal(err)
	}
	spec, _ := agent.OutputKind(name)
	ps := &agent.Problems{File: "test"}
	config = spec.Decode(ps, n.Content[0], nil)
	return config, ps.List
}

func anomaly() *agent.Event {
	return &agent.Event{
		Seq: 1, ID: []byte("ANO-1"), Type: []byte("anomaly"), Source: []byte("DEV-1"), Severity: agent.High,
		Time: time.Date(2025, 10, 9, 12, 0, 0, 123e6, time.UTC).UnixNano(),
		Body: []byte(`{"event_id":"ANO-1","title":"Login | odd","anomaly":{"type":"authentication","score":85.0},"net":{"zone":"dmz"}}`),
	}
}

// What each kind and its keys put on the wire.
func TestWireForms(t *testing.T) {
	for _, c := range []struct{ kind, keys, want string }{
		{
			"syslog", "",
			`147 <131>1 2025-10-09T12:00:00.123Z DEV-1 zerotrust - anomaly [zerotrust@32473 eventId="ANO-1" device="DEV-1" severity="high" score="85.0"] Login | odd`,
		},
		{
			"syslog", "framing: newline, hostname: h, app_name: app, facility: auth, sd_id: x@1, bom: always",
			`<35>1 2025-10-09T12:00:00.123Z h app - anomaly [x@1 eventId="ANO-1" device="DEV-1" severity="high" score="85.0"] ` + "\ufeffLogin | odd\n",
		},
		{
			"syslog", "transport: udp, hostname: '-', rfc: 3164",
			`<131>Oct  9 12:00:00 - zerotrust: [zerotrust@32473 eventId="ANO-1" device="DEV-1" severity="high" score="85.0"] Login | odd`,
		},
		{
			"cef", "framing: newline, extensions: {cs6: net.zone, flexString1: net.zone, flexString1Label: zone}",
			`<131>Oct  9 12:00:00 DEV-1 CEF:0|ZeroTrust|Mac-Compliance-System|1.0|authentication|Login \| odd|7|rt=1760011200123 externalId=ANO-1 deviceExternalId=DEV-1 dvchost=gateway cat=anomaly msg=Login | odd cfp1=85.0 cfp1Label=anomalyScore cs6=dmz cs6Label=net.zone flexString1=dmz flexString1Label=zone` + "\n",
		},
		{
			"cef", "transport: udp, rfc: 5424, vendor: V, product: P, product_version: 2, cef_version: 1",
			`<131>1 2025-10-09T12:00:00.123Z DEV-1 zerotrust - anomaly - CEF:1|V|P|2|authentication|Login \| odd|7|rt=1760011200123 externalId=ANO-1 deviceExternalId=DEV-1 dvchost=gateway cat=anomaly msg=Login | odd cfp1=85.0 cfp1Label=anomalyScore`,
		},
		{
			"leef", "framing: newline, delimiter: ^, vendor: V",
			`<131>Oct  9 12:00:00 DEV-1 LEEF:2.0|V|Mac-Compliance-System|1.0|authentication|^|devTime=1760011200123^sev=7^cat=anomaly^resource=DEV-1^externalId=ANO-1^anomalyScore=85.0^title=Login | odd` + "\n",
		},
		{
			"leef", "framing: newline, leef_version: 1.0",
			"<131>Oct  9 12:00:00 DEV-1 LEEF:1.0|ZeroTrust|Mac-Compliance-System|1.0|authentication|devTime=1760011200123\tsev=7\tcat=anomaly\tresource=DEV-1\texternalId=ANO-1\tanomalyScore=85.0\ttitle=Login | odd\n",
		},
	} {
		config, problems := decode(t, c.kind, "{endpoint: '127.0.0.1:9', "+c.keys+"}")
		if len(problems) > 0 {
			t.Errorf("%s {%s}: %v", c.kind, c.keys, problems)
			continue
		}
		spec, _ := agent.OutputKind(c.kind)
		env := testEnv(t)
		env.Identity.Host = "gateway"
		o, err := spec.BuildOutput(config, env)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.(agent.Encoder).Encode([]byte("before"), anomaly())
		if err != nil || string(got) != "before"+c.want {
			t.Errorf("%s {%s}:\n got %q, %v\nwant %q", c.kind, c.keys, got, err, "before"+c.want)
		}
		o.(agent.Closer).Close(context.Background())
	}
}

func TestConfigMistakes(t *testing.T) {
	for _, c := range []struct{ kind, keys, want, hint string }{
		{"syslog", "transport: tcp", `"endpoint" is missing`, "endpoint: siem.example.com:514"},
		{"syslog", "endpoint: 'a:1', transport: tls, framing: newline", "counts octets", "framing: octet"},
		{"syslog", "endpoint: 'a:1', transport: udp, framing: newline", "datagram is one message", "remove framing"},
		{"syslog", "endpoint: 'a:1', tls: {ca_file: /x}", "tls has no effect", "transport: tls"},
		{"syslog", "endpoint: 'tcp://a:1'", "tcp:// does not belong here", "write a:1"},
		{"syslog", "endpoint: ['a:1', 'a:1']", "listed twice", ""},
		{"syslog", "endpoint: ['a', 'a:514']", "listed twice", ""},
		{"syslog", "endpoint: 'a:0'", "not a port", ""},
		{"syslog", "endpoint: 'a:b:c'", "not host:port", "[2001:db8::1]:514"},
		{"syslog", "endpoint: '::1:514'", "may end in a port", "write [::1]:514"},
		{"syslog", "endpoint: /dev/log", "unix socket", "127.0.0.1:514"},
		{"syslog", "endpoint: 'unix:/dev/log'", "unix socket", "127.0.0.1:514"},
		{"syslog", "endpoint: ':514'", "names no host", ""},
		{"syslog", "endpoint: 'a:1', facility: local9", "not a value", `did you mean "local0"`},
		{"syslog", "endpoint: 'a:1', transport: udp, max_message: 1MiB", "65507", ""},
		{"syslog", "endpoint: 'a:1', max_message: 100B", "480", ""},
		{"syslog", "endpoint: 'a:1', max_message: 1GiB", "no receiver", ""},
		{"syslog", "endpoint: 'a:1', resend_window: 1GiB", "in memory", ""},
		{"syslog", "endpoint: 'a:1', sd_id: zerotrust", `"zerotrust" is not a name, @`, ""},
		{"syslog", "endpoint: 'a:1', rfc: 3195", "not a value", "5424"},
		{"syslog", "endpoint: 'a:1', vendor: X", `unknown key "vendor"`, ""},
		{"cef", "endpoint: 'a:1', extensions: {cs1: x}", "filled in already", ""},
		{"cef", "endpoint: 'a:1', transport: tls, framing: newline", "counts octets", ""},
		{"leef", "endpoint: 'a:1', leef_version: 1.0, delimiter: ^", "only the tab", ""},
		{"leef", "endpoint: 'a:1', delimiter: x123456", "", ""},
	} {
		_, problems := decode(t, c.kind, "{"+c.keys+"}")
		if len(problems) != 1 || !strings.Contains(problems[0].Message, c.want) || !strings.Contains(problems[0].Hint, c.hint) {
			t.Errorf("%s {%s}: %v, want one with %q, hint %q", c.kind, c.keys, problems, c.want, c.hint)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ transport, endpoint, want string }{
		{"tcp", "a", "a:514"},
		{"tls", "a", "a:6514"},
		{"udp", "10.0.0.1", "10.0.0.1:514"},
		{"tcp", "a:1514", "a:1514"},
		{"tcp", "::1", "[::1]:514"},
		{"tls", "[::1]", "[::1]:6514"},
		{"tcp", "[::1]:99", "[::1]:99"},
	} {
		got, err := Config{Transport: c.transport}.address(c.endpoint)
		if err != nil || got != c.want {
			t.Errorf("%s %s: %s, %v, want %s", c.transport, c.endpoint, got, err, c.want)
		}
	}
}

func TestProbeSteps(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil).start()
	closes := listen(t, "127.0.0.1:0", nil)
	closes.serve = func(net.Conn) {}
	closes.start()
	f := func(address string, ok bool, last, fix string) {
		t.Helper()
		var steps []agent.Step
		err := open(t, tcpConfig(address)).Probe(deadline(t, 20*time.Second), func(s agent.Step) { steps = append(steps, s) })
		s := steps[len(steps)-1]
		if (err == nil) != ok || s.Name != last || !strings.Contains(s.Fix, fix) {
			t.Errorf("%s: %v; last step %+v", address, err, s)
		}
	}
	f(r.Addr().String(), true, "auth", "")
	f(closes.Addr().String(), false, "auth", "allowed senders")
	f("127.0.0.1:1", false, "tcp", "nothing listens there")
	f("no-such-host.invalid:514", false, "dns", "spelling")
}

// Repairs of the codec reach the metric, and a rebuilt output goes on counting.
func TestRepairsAreCounted(t *testing.T) {
	r := listen(t, "127.0.0.1:0", nil).start()
	env := testEnv(t)
	spec, _ := agent.OutputKind("syslog")
	for range 2 {
		c := tcpConfig(r.Addr().String())
		o, err := spec.BuildOutput(&c, env)
		if err != nil {
			t.Fatal(err)
		}
		e := anomaly()
		e.Source = []byte("with space")
		if err := o.Write(deadline(t, 20*time.Second), []agent.Event{*e}); err != nil {
			t.Fatal(err)
		}
		o.(agent.Closer).Close(deadline(t, 20*time.Second))
	}
	var b strings.Builder
	env.Metrics.WritePrometheus(&b)
	if want := `siemd_codec_repairs_total{output="test",reason="header_char"} 2`; !strings.Contains(b.String(), want) {
		t.Errorf("metrics lack %s:\n%s", want, b.String())
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	o := open(t, tcpConfig("127.0.0.1:9"))
	e := &agent.Event{Body: []byte(strings.Repeat("x", 300))}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf, _ = o.Encode(buf[:0], e) }); n > 0 {
		t.Errorf("Encode allocates %v times", n)
	}
}
